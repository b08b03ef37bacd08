"""docs/config.md, written from the settings' own descriptions: ``python -m scd_core.config_doc``."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from scd_core.config import AuditConfig

__all__ = ["render_config_doc"]

_HEAD = """# Settings

Every setting of an audit, by section, as `--config FILE` (YAML or JSON) takes them; what is left out keeps its default.
This page is written by `make docs` from `scd_core/config.py`.

```yaml
triage:
  min_probability: 0.7
  control_rate: 0.1
classify:
  box_use: locate
```
"""


def render_config_doc() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for section, field in AuditConfig.model_fields.items():
        model = field.annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise TypeError(f"section {section} is no settings class")
        parts.append(f"## {section}\n\n{(model.__doc__ or '').strip().splitlines()[0]}\n")
        parts.append("| setting | default | what it is |\n|---|---|---|")
        for name, setting in model.model_fields.items():
            default = setting.get_default(call_default_factory=True)
            shown = (
                ", ".join(map(str, default)) if isinstance(default, tuple) else "null" if default is None else default
            )
            bounds = "; ".join(_bound(item) for item in setting.metadata if _bound(item))
            text = (setting.description or "") + (f" ({bounds})" if bounds else "")
            parts.append(f"| `{name}` | {f'`{shown}`' if shown != '' else ''} | {text.replace('|', '/')} |")
        parts.append("")
    return "\n".join(parts)


def _bound(item: object) -> str:
    for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
        if (value := getattr(item, name, None)) is not None:
            return f"{sign} {value:g}"
    return ""


if __name__ == "__main__":
    Path("docs/config.md").write_text(render_config_doc())
