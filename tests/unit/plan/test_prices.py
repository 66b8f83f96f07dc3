"""Price tables: those of the package, and what a table of one's own must be."""

from dataclasses import replace
from pathlib import Path

import pytest
from plan_numbers import basis

from edgewise.errors import InvalidData, InvalidRecord, InvalidSpec
from edgewise.plan import basis_of
from edgewise.plan.prices import packaged_tables, parse_table, priced, table_text
from edgewise.records import CloudCosts, Costs, EdgeCosts, PlanBasis, PriceRow
from edgewise.spec import load_plan

HEAD = "# source: a shop\n# date: 2026-11-01\n# licence: mine\n"


def named(device: str = "", country: str = "", model: str = "", instance: str = "") -> PlanBasis:
    edge, cloud = (
        EdgeCosts(device=device, country=country),
        CloudCosts(model=model, instance=instance),
    )
    return basis(Costs(edge=edge, cloud=cloud), device_usd=0.0)


def test_every_table_of_the_package_says_where_it_is_from() -> None:
    tables = packaged_tables()

    assert [one.name for one in tables] == ["aws", "azure", "carbon", "devices", "gcp", "tokens"]
    for one in tables:
        assert one.source
        assert one.licence
        assert one.date.startswith("202")
        assert parse_table(one.name, table_text(one), where="again") == one


def test_a_spec_that_names_items_gets_their_numbers_and_sources() -> None:
    found = priced(
        named("raspberry-pi-5-8gb", "DEU", "openai/gpt-4o-mini", "aws/us-east-1/g5.xlarge"),
        packaged_tables(),
    )

    assert found.workload.device_usd == 80
    assert found.costs.edge.grams_per_kwh == pytest.approx(380.95)
    assert found.costs.cloud.usd_per_million_input_tokens == 0.15
    assert found.costs.cloud.usd_per_million_cached_tokens == 0.075
    assert found.costs.cloud.usd_per_million_output_tokens == 0.6
    assert found.costs.cloud.usd_per_gpu_hour == 1.006
    assert found.sources["workload.device_usd"].startswith(
        "raspberry-pi-5-8gb in table devices of 2024-12-31: "
    )
    assert len(found.sources) == 6


def test_a_number_of_the_spec_goes_before_a_tables() -> None:
    own = named("raspberry-pi-5-8gb")
    own = replace(own, workload=replace(own.workload, device_usd=55.0))

    found = priced(own, packaged_tables())

    assert found.workload.device_usd == 55
    assert found.sources == {}


def test_a_zero_goes_before_a_tables_number_where_the_default_is_none(tmp_path: Path) -> None:
    path = tmp_path / "edgewise.yaml"
    path.write_text(
        "name: a\ntask: text-generation\n"
        "tiers: {edge: {}, cloud: {usd_per_cached_input_token: 0}}\n"
        "costs:\n"
        "  edge: {country: DEU, grams_per_kwh: 0}\n"
        "  cloud: {model: openai/gpt-4o-mini, input_tokens: 9, output_tokens: 9}\n"
    )

    found = basis_of(load_plan(path), packaged_tables())

    assert found.costs.edge.grams_per_kwh == 0
    assert found.costs.cloud.usd_per_million_cached_tokens == 0
    assert found.costs.cloud.usd_per_million_input_tokens == 0.15


def test_an_earlier_table_goes_before_a_later_one_and_may_lack_a_measure() -> None:
    own = parse_table(
        "own",
        HEAD + "item,measure,value\nopenai/gpt-4o-mini,usd_per_million_input_tokens,0.1\n",
        where="own.csv",
    )

    found = priced(named(model="openai/gpt-4o-mini"), (own, *packaged_tables()))

    assert found.costs.cloud.usd_per_million_input_tokens == 0.1
    assert found.costs.cloud.usd_per_million_output_tokens == 0


def test_a_zero_of_the_file_goes_before_a_tables_number(tmp_path: Path) -> None:
    path = tmp_path / "edgewise.yaml"
    path.write_text(
        "name: a\ntask: text-generation\n"
        "tiers: {edge: {}, cloud: {usd_per_input_token: 0}}\n"
        "workload: {device_usd: 0}\n"
        "costs:\n"
        "  edge: {device: raspberry-pi-5-8gb}\n"
        "  cloud: {model: openai/gpt-4o-mini, instance: aws/us-east-1/g5.xlarge,\n"
        "    usd_per_gpu_hour: 0, input_tokens: 9, output_tokens: 9}\n"
    )

    found = basis_of(load_plan(path), packaged_tables())

    assert found.workload.device_usd == 0
    assert found.costs.cloud.usd_per_gpu_hour == 0
    assert found.costs.cloud.usd_per_million_input_tokens == 0
    assert found.costs.cloud.usd_per_million_output_tokens == 0.6


def test_an_item_that_no_table_has_is_answered_with_those_that_are_like_it() -> None:
    with pytest.raises(InvalidSpec) as caught:
        priced(named("raspberry-pi-5"), packaged_tables())

    assert caught.value.what == "no price table has `raspberry-pi-5`"
    assert caught.value.where == "costs.edge.device"
    assert "`raspberry-pi-5-8gb`" in caught.value.hint
    with pytest.raises(InvalidSpec) as caught:
        priced(named(country="§"), packaged_tables())
    assert caught.value.hint == "`edgewise prices show` lists them"


def test_prices_in_another_currency_are_turned_into_usd_and_grams_are_not() -> None:
    text = "# currency: EUR\n# usd_per_unit: 1.1\n" + HEAD
    rows = "item,measure,value\na,usd_per_device,10\nDEU,grams_per_kwh,300\n"

    found = parse_table("own", text + rows, where="own.csv")

    assert [one.value for one in found.rows] == [pytest.approx(11), 300]


@pytest.mark.parametrize(
    ("text", "what", "at"),
    [
        ("# date: 2026-11-01\n# licence: mine\n", "the table says no source", ""),
        (HEAD.replace("2026-11-01", "soon"), "not a date: soon", ""),
        (HEAD, "no prices", ""),
        (HEAD + "item,price\n", "columns are item, price", ":4"),
        (HEAD + "item,measure,value\na,usd_per_device\n", "2 cells", ":5"),
        (HEAD + "item,measure,value\n# dear\na,usd_per_device,1\n", "1 cells", ":5"),
        (
            HEAD + "item,measure,value\na,usd_per_device,1\nb,usd_per_device," + "1" * 200_000,
            "no CSV: field larger than field limit (131072)",
            ":6",
        ),
        (HEAD + "item,measure,value\na,usd_per_device,\n", "not a number: ``", ":5"),
        (HEAD + "item,measure,value\na,usd_per_device,-1\n", "not a price: -1.0", ":5"),
        (HEAD + "item,measure,value\na,usd_per_device,nan\n", "not a price: nan", ":5"),
        (HEAD + "item,measure,value\na,eur,1\n", "`a` with the measure `eur`", ":5"),
        (
            HEAD + "item,measure,value\na,usd_per_device,1\na,usd_per_device,2\n",
            "`a` has two numbers of usd_per_device",
            ":6",
        ),
        (
            HEAD + "item,measure,value\na,usd_per_million_input_tokens,2.5e-6\n",
            "2.5e-06 USD per million tokens looks like a price per token",
            ":5",
        ),
        (
            "# currency: EUR\n" + HEAD,
            "prices are in EUR, and no rate turns them into USD",
            "",
        ),
        ("# usd_per_unit: 1.1\n" + HEAD, "a rate, and prices in USD", ""),
        (
            "# currency: EUR\n# usd_per_unit: some\n" + HEAD,
            "prices are in EUR, and no rate turns them into USD",
            "",
        ),
    ],
)
def test_what_is_wrong_in_a_table_is_shown_by_its_line(text: str, what: str, at: str) -> None:
    with pytest.raises(InvalidData) as caught:
        parse_table("own", text, where="own.csv")

    assert caught.value.what == what
    assert caught.value.where == f"own.csv{at}"
    assert caught.value.hint


def test_a_price_without_an_item_is_refused() -> None:
    with pytest.raises(InvalidRecord) as caught:
        PriceRow(item="", measure="usd_per_device", value=1)

    assert caught.value.where == "PriceRow"
    assert "usd_per_device" in caught.value.hint


def test_blank_lines_and_blanks_after_commas_are_no_rows() -> None:
    text = f"{HEAD}\r\nitem, measure, value\r\n\r\nkiosk, usd_per_device, 410\r\n \r\n,,\r\n"

    assert parse_table("own", text, where="own.csv").rows == (
        PriceRow(item="kiosk", measure="usd_per_device", value=410.0),
    )
    with pytest.raises(InvalidData) as caught:
        parse_table("own", f"{HEAD}item,measure,value\n\nkiosk,usd_per_device,x\n", where="own.csv")
    assert caught.value.where == "own.csv:6"
