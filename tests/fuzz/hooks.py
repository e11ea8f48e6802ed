"""What schemathesis sends where the API wants a picture: good ones and hostile ones."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st

from service.http.upload import PICTURE_TYPES
from tests.fuzz import hostile

UPLOADS = st.one_of(st.sampled_from(sorted(hostile.seeds().values())), hostile.uploads())

schemathesis.openapi.format("binary", UPLOADS)
for kind in PICTURE_TYPES:
    schemathesis.openapi.media_type(kind, UPLOADS)
