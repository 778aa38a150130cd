# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A timeline as a picture: SVG in the style of the other pictures of the documents, in light and in dark."""

from __future__ import annotations

from xml.sax.saxutils import escape

from timeline import AWS
from timeline import Span

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 1000, 265, 65, 56, 26
_STYLE = """
    .page { fill: #ffffff; }
    text { fill: #1b2429; }
    .small { font-size: 12px; fill: #455a64; }
    .grid { stroke: #cfd8dc; stroke-width: 1; }
    .work { fill: #90caf9; stroke: #1565c0; }
    .wait { fill: #ffffff; stroke: #1565c0; stroke-dasharray: 5 3; }
    .aws { fill: #b2dfdb; stroke: #00695c; }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; }
      text { fill: #e6edf3; }
      .small { fill: #9fb0bb; }
      .grid { stroke: #30363d; }
      .work { fill: #1f4e79; stroke: #64b5f6; }
      .wait { fill: #0d1117; stroke: #64b5f6; }
      .aws { fill: #12443f; stroke: #4db6ac; }
    }"""
_LEGEND = (("work", "Ansible works", 0), ("wait", "Ansible waits", 150), ("aws", "AWS works", 300))


def describe(spans: list[Span]) -> str:
    """The picture in words."""
    return " ".join(f"{span.title}: {span.begun:.1f} to {span.ended:.1f} s." for span in spans)


def draw(spans: list[Span], title: str) -> str:
    """The picture: Ansible's rows above, AWS's below, seconds from left to right."""
    rows = [span for span in spans if span.kind != AWS] + [span for span in spans if span.kind == AWS]
    end = max(span.ended for span in rows)
    scale = (_WIDTH - _LEFT - _RIGHT) / end
    bottom = _TOP + _ROW * len(rows)
    height = bottom + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="14" role="img" aria-labelledby="title desc">',
        f'  <title id="title">{escape(title)}</title>',
        f'  <desc id="desc">{escape(describe(rows))}</desc>',
        f"  <style>{_STYLE}\n  </style>",
        f'  <rect class="page" width="{_WIDTH}" height="{height}" rx="10"/>',
        *_legend(),
        *_grid(end, scale, bottom),
    ]
    for number, span in enumerate(rows):
        parts += _bar(span, _TOP + _ROW * number, scale)
    return "\n".join([*parts, "</svg>", ""])


def _legend() -> list[str]:
    lines = []
    for kind, text, left in _LEGEND:
        lines.append(f'  <rect class="{kind}" x="{_LEFT + left}" y="16" width="28" height="14" rx="3"/>')
        lines.append(f'  <text class="small" x="{_LEFT + left + 36}" y="28">{text}</text>')
    return lines


def _grid(end: float, scale: float, bottom: int) -> list[str]:
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if end / step <= 12)
    lines = []
    for second in range(0, int(end) + 1, step):
        x = _LEFT + second * scale
        lines.append(f'  <path class="grid" d="M{x:.1f} {_TOP - 8} V{bottom}"/>')
        lines.append(f'  <text class="small" x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{second} s</text>')
    return lines


def _bar(span: Span, top: int, scale: float) -> list[str]:
    left, width = _LEFT + span.begun * scale, max(2.0, (span.ended - span.begun) * scale)
    return [
        f'  <text x="{_LEFT - 12}" y="{top + 15}" text-anchor="end">{escape(span.title)}</text>',
        f'  <rect class="{span.kind}" x="{left:.1f}" y="{top + 3}" width="{width:.1f}" height="16" rx="3"/>',
        f'  <text class="small" x="{left + width + 6:.1f}" y="{top + 15}">{span.ended - span.begun:.1f} s</text>',
    ]
