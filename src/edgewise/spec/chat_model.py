"""The shape of `edgewise.yaml` for text generation: every key, its type, default and meaning."""

from typing import Annotated, Any, Literal

from pydantic import Field

from edgewise.spec.costs import Costs
from edgewise.spec.model import Objective, Privacy, Rtt, Workload
from edgewise.spec.routing import Budget, Offline, Routing
from edgewise.spec.section import ApiKey, Section, Size, Url, Usd
from edgewise.spec.serving import Queues, Servers, Times

TokenUsd = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class ChatTier(Section):
    """One text model behind an endpoint."""

    endpoint: Url | None = Field(
        None, description="URL of the server; without one it is planned for, not called"
    )
    protocol: Literal["openai"] = Field("openai", description="openai")
    model: str = Field("", description="its name there")
    token_limit: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens",
        description="max_tokens, or max_completion_tokens for OpenAI's newer models",
    )
    api_key: ApiKey | None = Field(None, description="{env: NAME} or {file: PATH}")
    usd_per_request: Usd = Field(0.0, description="price of a call, tokens apart")
    usd_per_input_token: TokenUsd = Field(0.0, description="price of a token that is read")
    usd_per_cached_input_token: TokenUsd | None = Field(
        None, description="price of one that the server had read before; default: as of others"
    )
    usd_per_output_token: TokenUsd = Field(0.0, description="price of a token that is written")
    service: Times = None
    servers: Servers = None
    queue: Queues = None


class ChatEdge(ChatTier):
    """The nearest model, such as a llama.cpp server on the device."""

    kind: Literal["device", "site"] = Field("device", description="device or site")
    memory: Size | None = Field(None, description="most that the model may take, such as 16GiB")
    threshold: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="keep an answer from this confidence on; default: none until one is certified",
    )


class ChatCloud(ChatTier):
    """The farthest model."""

    kind: Literal["cloud", "site"] = Field("cloud", description="cloud or site")
    rtt_ms: Rtt = Field(default_factory=Rtt, description="until traffic is seen")


class ChatTiers(Section):
    """Where answers may come from."""

    edge: ChatEdge = Field(description="the nearest tier")
    cloud: ChatCloud | None = Field(None, description="the farthest tier; none: edge only")


class Stream(Section):
    """When pieces are handed out that the cloud's answer could still replace."""

    commit_after_tokens: int | None = Field(
        16, gt=0, description="decide after so many tokens; null: hold the whole answer back"
    )


class ChatProject(Section):
    """A whole project for text generation."""

    name: str = Field(
        min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="letters, digits, . _ -"
    )
    task: Literal["text-generation"] = Field(description="text-generation")
    tiers: ChatTiers = Field(description="where answers may come from")
    max_output_tokens: int = Field(
        512, gt=0, le=1_000_000, description="of requests that bring no `max_tokens`"
    )
    stream: Stream = Field(default_factory=Stream, description="when pieces are handed out")
    routing: Routing = Field(default_factory=Routing, description="how live requests go their way")
    privacy: Privacy = Field(default_factory=Privacy, description="what keeps a request near")
    budget: Budget | None = Field(None, description="what may be spent on calls")
    offline: Offline | None = Field(None, description="requests may wait for the network")
    objective: Objective = Field(default_factory=Objective, description="what a plan keeps to")
    workload: Workload = Field(default_factory=Workload, description="for the plan")
    costs: Costs = Field(
        default_factory=Costs, description="more for the plan; numbers may be distributions"
    )


class ChatSketch(ChatProject):
    """A project of which the tiers alone matter."""

    name: Any = None
