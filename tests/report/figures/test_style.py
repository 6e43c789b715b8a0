"""Figures as files: light and dark, at the size of print."""

import pytest
from PIL import Image

from hierrouter_jax.report.figures import style
from hierrouter_jax.report.figures.style import COLOUR, DARK

FIGURES = ("cost_accuracy", "learning_curves", "routes")


def test_figures_lie_beside_the_page_light_and_dark_at_the_size_of_print(run):
    files = {path.name: path for path in (run / "figures").iterdir()}
    assert files.keys() == {f"{name}{end}" for name in FIGURES for end in (".png", ".svg", ".dark.png", ".dark.svg")}
    for name in FIGURES:
        light, dark = (files[f"{name}{end}"].read_text() for end in (".svg", ".dark.svg"))
        assert 'width="7in"' in light
        assert COLOUR["ink"] in light
        assert not any(colour in dark for colour in DARK)
        with Image.open(files[f"{name}.png"]) as one, Image.open(files[f"{name}.dark.png"]) as other:
            assert one.size == other.size
            assert one.size[0] == pytest.approx(7 * one.info["dpi"][0], abs=2)
            assert sum(one.convert("RGB").getpixel((2, 2))) > 700 > 150 > sum(other.convert("RGB").getpixel((2, 2)))


def test_models_and_arms_have_colours_of_their_own_and_begin_again_by_hand():
    """Nine models and eight arms are distinct; the tenth model looks as the first, the ninth arm is dashed."""
    assert (style.model_colour(0), style.model_colour(9)) == ("#4477aa", "#4477aa")
    assert (style.model_variable(1), style.arm_variable(8)) == ("var(--model-1)", "var(--arm-0)")
    assert style.arm_look(0) == {"color": "#1d4ed8", "marker": "o", "linestyle": "-"}
    assert style.arm_look(8) == {"color": "#1d4ed8", "marker": "o", "linestyle": "--"}
    assert (style.text_on("#4477aa"), style.text_on("#ddaa33")) == (COLOUR["on-dark"], COLOUR["on-light"])
    assert "--ink: #1b1f24;" in style.css_variables(0)
    assert "--ink: #e6e8eb;" in style.css_variables(1)


def test_an_inline_picture_has_its_size_and_follows_the_theme():
    figure = style.canvas((100, 50))
    figure.add_subplot().plot([0, 1], color=COLOUR["learned"])
    svg = style.to_svg(figure, "A <line>")
    assert 'aria-label="A &lt;line&gt;" viewBox="0 0 100 50"' in svg
    assert "var(--learned)" in svg
    assert COLOUR["learned"] not in svg
    assert svg.__html__() == svg  # a template writes it as it is
