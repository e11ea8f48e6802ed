"""All settings: environment variables DEEPLAB_* and flags of `deeplab-serve` of the same name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.bucket import Bucket, parse_bucket
from service.cores import usable_cores
from service.images.formats import DEFAULT, FormatName

Size = Annotated[
    Bucket, BeforeValidator(lambda value: parse_bucket(value) if isinstance(value, str) else value)
]


def is_service_link(value: str) -> bool:
    """Whether a value is the address of a Kubernetes Service, as tcp://10.0.0.7:8000."""
    return re.match(r"(tcp|udp|sctp)://", value) is not None


def _origin(text: str) -> str:
    if not re.fullmatch(r"\*|https?://[A-Za-z0-9.-]+(:\d{1,5})?", text):
        raise ValueError("an origin is a scheme and a host, as https://pages.example, or *")
    return text


Origin = Annotated[str, AfterValidator(_origin)]


def _one_host(text: str) -> str:
    if text == "*":
        raise ValueError("it is one host, as http://label-studio:8080")
    return text


OneOrigin = Annotated[Origin, AfterValidator(_one_host)]

BUILT_IN_MODEL = Path(__file__).parent / "models" / "camvid-mobilenetv2.onnx"
SAMPLE_PICTURE = Path(__file__).parent / "samples" / "street.jpg"


class Settings(BaseSettings):
    """Serve masks from photos over HTTP."""

    model_config = SettingsConfigDict(
        env_prefix="DEEPLAB_",
        cli_prog_name="deeplab-serve",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_exit_on_error=False,
        frozen=True,
    )

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    model: Path = Field(BUILT_IN_MODEL, description="ONNX file that `deeplab export` wrote")
    models: Path | None = Field(
        None,
        description="folder of models to serve instead: NAME.onnx or NAME/VERSION/model.onnx",
    )
    model_control: Literal["none", "poll", "explicit"] = Field(
        "none",
        description="what becomes of changes in the folder: nothing, they are followed, or they "
        "are when /v2/repository/models/NAME/load or unload is called",
    )
    versions: int = Field(1, ge=1, description="versions of a model to serve, the newest ones")
    default_model: str | None = Field(
        None, description="name of the model for calls that name none, where there are several"
    )
    models_memory: int = Field(0, ge=0, description="bytes that all models may take; 0 is no limit")
    provider: Literal["auto", "cpu", "cuda", "tensorrt", "openvino"] = Field(
        "auto",
        description="what runs the model; auto is CUDA or OpenVINO where installed, else CPU",
    )
    buckets: Annotated[tuple[Size, ...], NoDecode] = Field(
        (),
        description="sizes that pictures are fitted to, as 513x513,513x385",
    )
    max_batch: int = Field(
        0, ge=0, le=1024, description="pictures in a batch; 0 is measured at start, 8 on a GPU"
    )
    max_delay: float = Field(
        0.0, ge=0, le=10, description="seconds that a picture may wait for others to fill its batch"
    )
    sessions: int = Field(
        0, ge=0, le=1024, description="batches at the same time on a CPU; 0 is measured at start"
    )
    threads: int = Field(
        0, ge=0, le=1024, description="threads of a batch on a CPU; 0 is measured at start"
    )
    bf16: bool = Field(False, description="compute in bfloat16 on OpenVINO")
    cuda_graphs: bool = Field(False, description="replay captured CUDA graphs, one for each shape")
    tensorrt_cache: Path | None = Field(None, description="folder for the engines TensorRT builds")
    image_threads: int = Field(
        min(8, usable_cores()),
        ge=1,
        le=1024,
        description="threads that decode and encode pictures",
    )
    queue_limit: int = Field(256, ge=1, description="requests in the house before 503")
    queue_bytes: int = Field(
        256 * 2**20, ge=1, description="bytes of uploads and unread answers before 503"
    )
    request_timeout: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="seconds from request to answer; a request may ask for less",
    )
    upload_timeout: float = Field(
        20.0, gt=0, le=3600, description="seconds that an upload may take"
    )
    max_uploads: int = Field(256, ge=1, description="uploads at the same time before 503")
    max_bytes: int = Field(20 * 2**20, ge=1, description="largest accepted upload in bytes")
    max_pictures: int = Field(64, ge=1, description="pictures in one request at most")
    max_pictures_bytes: int = Field(
        64 * 2**20, ge=1, description="largest upload of several pictures in bytes"
    )
    max_pixels: int = Field(64_000_000, ge=1, description="largest accepted picture in pixels")
    max_tiles: int = Field(
        512, ge=1, description="windows that a picture is cut into at most by `tile`"
    )
    max_pixels_at_once: int = Field(
        128_000_000,
        ge=1,
        description="pixels of large pictures at work at the same time; others wait for room",
    )
    api_keys: Path | None = Field(
        None, description="file of API keys, one a line; without it everybody may call"
    )
    metrics_key: bool = Field(False, description="ask for an API key on /metrics too")
    docs: bool = Field(True, description="serve /docs and /openapi.json")
    page: bool = Field(True, description="serve the page at /")
    cors_origins: Annotated[tuple[Origin, ...], NoDecode] = Field(
        (),
        description="web pages that may call, as https://a.example,https://b.example; * is all",
    )
    label_studio_url: OneOrigin | None = Field(
        None,
        description="where pictures of Label Studio's tasks are fetched from; without it, "
        "from nowhere",
    )
    label_studio_key: SecretStr | None = Field(
        None, description="access token of Label Studio, to fetch them with"
    )
    formats: Annotated[tuple[FormatName, ...], NoDecode] = Field(
        DEFAULT, min_length=1, description="accepted picture formats, as jpeg,png"
    )
    run_timeout: float = Field(
        120.0, gt=0, description="seconds after which a batch that does not end is given up"
    )
    max_connections: int = Field(
        4096, ge=1, description="open connections; more close those that are idle"
    )
    max_head_bytes: int = Field(32768, ge=1024, description="largest head of a request in bytes")
    head_timeout: float = Field(
        10.0, gt=0, le=3600, description="seconds that the head of a request may take"
    )
    send_timeout: float = Field(
        60.0, gt=0, le=3600, description="seconds in which an answer must have been read"
    )
    drain_delay: float = Field(
        0.0,
        ge=0,
        le=3600,
        description="seconds after a stop signal in which requests are still accepted",
    )
    drain_timeout: int = Field(
        30, ge=1, description="seconds after that in which running requests may end"
    )
    log_format: Literal["console", "json"] = Field("console", description="for people or machines")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="what is logged at least"
    )
    access_log: bool = Field(False, description="log a line for each request")

    @field_validator("port", mode="before")
    @classmethod
    def _not_a_service_link(cls, value: Any) -> Any:
        # Kubernetes sets DEEPLAB_PORT by itself for a Service that is called deeplab.
        if isinstance(value, str) and is_service_link(value):
            return cls.model_fields["port"].default
        return value

    @field_validator("model", "models", "api_keys", "tensorrt_cache", mode="before")
    @classmethod
    def _not_empty(cls, value: Any) -> Any:
        if value == "":
            raise ValueError("name a path, or leave the setting out")
        return value

    @field_validator("buckets", "formats", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(word for part in value.split(",") if (word := part.strip()))
        return value
