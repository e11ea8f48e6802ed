"""What schemathesis sends where the API wants a picture: good ones and hostile ones."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st

from service.images.formats import FORMATS
from tests.fuzz import hostile

UPLOADS = st.one_of(st.sampled_from(sorted(hostile.seeds().values())), hostile.uploads())

schemathesis.openapi.format("binary", UPLOADS)
for kind in FORMATS.values():
    schemathesis.openapi.media_type(kind.media_type, UPLOADS)
