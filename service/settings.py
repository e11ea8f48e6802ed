"""All settings: environment variables DEEPLAB_* and flags of `deeplab-serve` of the same name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

BUILT_IN_MODEL = Path(__file__).parent / "models" / "camvid-mobilenetv2.onnx"
SAMPLE_PICTURE = Path(__file__).parent / "samples" / "street.jpg"


class Settings(BaseSettings):
    """Serve masks from photos over HTTP."""

    model_config = SettingsConfigDict(
        env_prefix="DEEPLAB_",
        cli_prog_name="deeplab-serve",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        frozen=True,
    )

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    model: Path = Field(BUILT_IN_MODEL, description="ONNX file that `deeplab export` wrote")
    provider: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where the model runs; auto is CUDA where installed, else CPU"
    )
    threads: int = Field(
        0, ge=0, le=1024, description="threads of the model on a CPU; 0 is one per physical core"
    )
    image_threads: int = Field(
        min(8, os.cpu_count() or 1),
        ge=1,
        le=1024,
        description="threads that decode and encode pictures",
    )
    queue_limit: int = Field(64, ge=1, description="requests in the house before 503")
    request_timeout: float = Field(30.0, gt=0, description="seconds from request to answer")
    max_bytes: int = Field(20 * 2**20, ge=1, description="largest accepted upload in bytes")
    max_pixels: int = Field(64_000_000, ge=1, description="largest accepted picture in pixels")
    long_side: int | None = Field(
        None,
        ge=17,
        description="longest side that a picture is scaled down to; default: the model's own",
    )
    drain_timeout: int = Field(
        30, ge=1, description="seconds that running requests get after a stop signal"
    )
