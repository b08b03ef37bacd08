"""One picture's story: everything that an audit holds about it, read from the files that it is in."""

from __future__ import annotations

from scd_core.audit.query.picture.find import SeveralPictures
from scd_core.audit.query.picture.story import PictureStory, TargetStory, read_story

__all__ = ["PictureStory", "SeveralPictures", "TargetStory", "read_story"]
