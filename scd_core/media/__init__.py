"""Media: listing object storage, decoding and describing images, quarantining what cannot be read."""

from scd_core.media.decode import decode_image
from scd_core.media.describe import describe_objects
from scd_core.media.error import MediaError
from scd_core.media.fetch import iter_images
from scd_core.media.groups import assign_events, mark_clocks, mark_duplicates
from scd_core.media.listing import list_objects, list_source
from scd_core.media.manifest import Manifest, find_manifest
from scd_core.media.metadata import batch_levels

__all__ = [
    "Manifest",
    "MediaError",
    "assign_events",
    "batch_levels",
    "decode_image",
    "describe_objects",
    "find_manifest",
    "iter_images",
    "list_objects",
    "list_source",
    "mark_clocks",
    "mark_duplicates",
]
