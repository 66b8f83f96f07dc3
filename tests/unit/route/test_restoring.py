"""Personal data put back into answers, whole and in pieces."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edgewise.records import Generation, Prediction, TextChunk, ToolCall
from edgewise.route.restoring import ChunkRestorer, restored
from edgewise.runtimes.gathering import Gathered

MAPPING = {"<EMAIL_1>": "ana@example.org", "<TEXT_1>": 'say "hi"\n'}
WORDS = st.sampled_from(["to ", "<", ">", "<EMAIL_1>", "<EMAIL_2>", "<TEXT_1>", "<E", "_1>", "é"])


def cut(text: str, cuts: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(one for one in cuts if one < len(text))})
    return [text[a:b] for a, b in pairwise(edges)]


@given(
    st.lists(WORDS, max_size=12).map("".join),
    st.lists(WORDS, max_size=6).map("".join),
    st.lists(st.integers(0, 90), max_size=20),
    st.booleans(),
)
def test_pieces_restored_are_the_whole_answer_restored(
    text: str, spoken: str, cuts: list[int], ends: bool
) -> None:
    arguments = json.dumps({"a": spoken}, ensure_ascii=False)
    answer = Generation(text=text, tool_calls=(ToolCall(arguments=arguments),))
    whole = restored(Prediction(text, 1.0, (), generation=answer), MAPPING).generation
    restorer, gathered = ChunkRestorer(MAPPING), Gathered()

    for part in cut(text, cuts):
        gathered.add(restorer.feed(TextChunk(text=part)))
    for part in cut(arguments, cuts):
        gathered.add(restorer.feed(TextChunk(tool_calls=(ToolCall(arguments=part),))))
    if ends:
        gathered.add(restorer.feed(TextChunk(finish_reason="stop")))
        assert restorer.close() == TextChunk()
    gathered.add(restorer.close())

    found = gathered.generation(0)
    assert whole is not None
    assert (found.text, found.tool_calls) == (whole.text, whole.tool_calls)
    assert json.loads(found.tool_calls[0].arguments)["a"] == spoken.replace(
        "<EMAIL_1>", "ana@example.org"
    ).replace("<TEXT_1>", 'say "hi"\n')


def test_without_placeholders_pieces_pass_as_they_are() -> None:
    piece = TextChunk(text="to <EMA")
    answer = Prediction("<EMAIL_1>", 1.0, ())

    assert ChunkRestorer({}).feed(piece) is piece
    assert restored(answer, {}) is answer
    assert restored(answer, MAPPING).label == "ana@example.org"


def test_a_refusal_gets_its_data_back() -> None:
    said = Generation(text="", refusal="not to <EMAIL_1>")
    restorer = ChunkRestorer(MAPPING)

    whole = restored(Prediction("not to <EMAIL_1>", 0.0, (), generation=said), MAPPING)
    pieces = [restorer.feed(TextChunk(refusal=part)) for part in ("not to <EMA", "IL_1>")]

    assert whole.generation is not None
    assert whole.label == whole.generation.refusal == "not to ana@example.org"
    assert [one.refusal for one in pieces] == ["not to ", "ana@example.org"]


def test_what_a_custom_tool_gets_is_no_json() -> None:
    call = ToolCall(name="run", arguments="<TEXT_1>!", custom=True)
    said = Generation(text="", tool_calls=(call,))
    restorer, gathered = ChunkRestorer(MAPPING), Gathered()

    whole = restored(Prediction("", 0.0, (), generation=said), MAPPING)
    for part in ("<TEX", "T_1>!", "<TEXT_"):
        piece = ToolCall(name="run" if part == "<TEX" else "", arguments=part, custom=True)
        gathered.add(restorer.feed(TextChunk(tool_calls=(piece,))))
    gathered.add(restorer.close())

    assert whole.generation is not None
    assert whole.generation.tool_calls[0].arguments == 'say "hi"\n!'
    assert gathered.generation(0).tool_calls == (
        ToolCall(name="run", arguments='say "hi"\n!<TEXT_', custom=True),
    )
