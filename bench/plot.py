"""Line plots as SVG, with nothing but Python: both axes logarithmic, readable on white and on black."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 860, 430
LEFT, RIGHT, TOP, BOTTOM = 76, 200, 44, 56
# Told apart by people who see colours differently, too (after Okabe and Ito); darkened or lightened so that
# each stands out from white and from black.
ATOLL_COLOURS = ["#d55e00", "#e08a00", "#c23b6b"]
COLOURS = ["#7a7a7a", "#009e73", "#0081c9", "#8067d6", "#3f9fbf", "#8a8a2a", "#a06a4a", "#5f8f5f"]
DASHES = ["", "6 3", "2 3", "8 3 2 3"]
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #808890 }
.title { font-size: 15px; font-weight: 600 }
.grid { stroke: #8884; stroke-width: 1 }
.line { fill: none; stroke-width: 2 }
.atoll { stroke-width: 3.5 }
"""


def short(value):
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= scale:
            return f"{value / scale:g}{unit}"
    return f"{value:g}"


def short_bytes(value):
    for unit, scale in (("Mi", 1 << 20), ("Ki", 1 << 10)):
        if value >= scale:
            return f"{value / scale:g}{unit}"
    return f"{value:g}"


def decades(low, high):
    return [10.0**e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def spread(positions, gap, bottom):
    """Moves positions apart, in their order, so that labels do not overlap."""
    order = sorted(range(len(positions)), key=positions.__getitem__)
    placed = list(positions)
    for above, below in zip(order, order[1:]):
        placed[below] = max(placed[below], placed[above] + gap)
    placed[order[-1]] = min(placed[order[-1]], bottom)
    for above, below in reversed(list(zip(order, order[1:]))):
        placed[above] = min(placed[above], placed[below] - gap)
    return placed


def lines(title, x_label, y_label, series):
    """`series` is {name: [(x, y), ...]}; x and y are positive."""
    series = {name: points for name, points in series.items() if points}
    xs = sorted({x for points in series.values() for x, _ in points})
    ys = [y for points in series.values() for _, y in points]
    y_ticks = decades(min(ys), max(ys))
    x_low, x_high = math.log(xs[0]), math.log(xs[-1])
    y_low, y_high = math.log(y_ticks[0]), math.log(y_ticks[-1])
    plot_width, plot_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x_of(x):
        return LEFT + plot_width * ((math.log(x) - x_low) / (x_high - x_low) if x_high > x_low else 0.5)

    def y_of(y):
        return TOP + plot_height * (1 - (math.log(y) - y_low) / ((y_high - y_low) or 1))

    bytes_axis = x_label == "bytes"
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
           f"<title>{escape(title)}</title><style>{STYLE}</style>",
           f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>']
    for y in y_ticks:
        out.append(f'<path class="grid" d="M{LEFT} {y_of(y):.1f}H{WIDTH - RIGHT}"/>'
                   f'<text x="{LEFT - 8}" y="{y_of(y) + 4:.1f}" text-anchor="end">{short(y)}</text>')
    for x in xs:
        out.append(f'<path class="grid" d="M{x_of(x):.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
                   f'<text x="{x_of(x):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
                   f"{(short_bytes if bytes_axis else short)(x)}</text>")
    out.append(f'<text x="{LEFT + plot_width / 2:.0f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x_label)}</text>')
    out.append(f'<text transform="translate(18 {TOP + plot_height / 2:.0f}) rotate(-90)" text-anchor="middle">'
               f"{escape(y_label)}</text>")

    names = list(series)
    label_ys = spread([y_of(series[name][-1][1]) for name in names], 16, HEIGHT - BOTTOM)
    own = [name for name in names if name.startswith("atoll")]
    others = [name for name in names if name not in own]
    for i, name in enumerate(names):
        if name in own:
            colour, dash = ATOLL_COLOURS[own.index(name) % len(ATOLL_COLOURS)], ""
        else:
            nth = others.index(name)
            colour, dash = COLOURS[nth % len(COLOURS)], DASHES[nth % len(DASHES)]
        points = [(x_of(x), y_of(y)) for x, y in series[name]]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        emphasis = " atoll" if name.startswith("atoll") else ""
        out.append(f'<path class="line{emphasis}" stroke="{colour}" stroke-dasharray="{dash}" d="{path}"/>')
        out.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)
        x, y = points[-1]
        label_x = WIDTH - RIGHT + 22
        out.append(f'<path stroke="{colour}" stroke-width="1" fill="none" '
                   f'd="M{x + 4:.1f} {y:.1f}L{label_x - 4} {label_ys[i]:.1f}"/>'
                   f'<text x="{label_x}" y="{label_ys[i] + 4:.1f}" style="fill:{colour}">{escape(name)}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"
