"""The page at /, as files and in a real browser."""

import re
import shutil
import time
from html.parser import HTMLParser

import httpx
import pytest

from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.serve.page_files import FOLDER
from hierrouter_jax.serve.router import Router
from tests.bridge.endpoints import FakeServer, either
from tests.serve.conftest import HORIZON
from tests.serve.pools import always, endpoint_router

QUESTION = "Compute 12+7-5. In digits."
HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    '<a href="javascript:alert(1)">here</a> {{7*7}} \u202e &lt;b&gt; </p></li><style>*{display:none}</style>'
)
TYPES = {"": "text/html", "style.css": "text/css", "page.js": "javascript", "icon.svg": "image/svg+xml"}
SINKS = re.compile(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\(|\bon\w+\s*=|localStorage")


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("name", TYPES)
def test_files_are_served_with_their_type_and_a_strict_policy(start, name):
    url = f"{start().url}/{name}"
    reply = httpx.get(url)
    assert reply.status_code == 200
    assert TYPES[name] in reply.headers["content-type"]
    rules = dict(part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";"))
    assert rules["default-src"] == "'self'"
    assert rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert not any("unsafe" in rule or "http" in rule or "data:" in rule for rule in rules.values())
    assert reply.headers["x-content-type-options"] == "nosniff"
    again = httpx.get(url, headers={"if-none-match": reply.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["content-security-policy"] == reply.headers["content-security-policy"]


def test_nothing_outside_the_page_is_served(start):
    served = start()
    odd = ("/%00", "/a%00b.js", "/%ff", f"/{'x' * 5000}", "/\u202e")
    for path in ("/../app.py", "/%2e%2e/app.py", "/..%2fapp.py", "/missing.js", *odd):
        reply = httpx.get(f"{served.url}{path}")
        assert reply.status_code == 404, path
        assert reply.json()["error"]["message"]
    assert httpx.post(served.url).status_code == 405


def test_the_page_has_no_inline_script_and_needs_no_other_server():
    parser = Tags()
    parser.feed((FOLDER / "index.html").read_text())
    assert ("script", {"type": "module", "src": "page.js"}) in parser.tags
    for tag, attributes in parser.tags:
        assert tag != "style"
        assert tag != "script" or attributes.get("src")
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        for address in (attributes.get("src"), attributes.get("href")):
            assert address is None or re.fullmatch(r"#?[\w.-]+", address)
    for path in FOLDER.glob("*.js"):
        assert SINKS.findall(path.read_text()) == []
    for path in FOLDER.iterdir():
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", path.read_text())


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as run:
        browser = run.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Opens pages in windows of their own; what a browser complains of fails the test."""
    contexts, complaints = [], []

    def go(url: str, **options):
        contexts.append(chromium.new_context(**{"viewport": {"width": 1100, "height": 800}, **options}))
        page = contexts[-1].new_page()
        page.set_default_timeout(8000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(url)
        return page

    go.complaints = complaints
    yield go
    for context in contexts:
        context.close()
    assert complaints == []


def ready(page):
    page.locator("#ask:enabled").wait_for()
    return page


def ask(page, text=QUESTION):
    page.get_by_label("Question").fill(text)
    page.get_by_role("button", name="Ask", exact=True).click()
    page.locator("#stop:disabled").wait_for()


def hops(page, run="Router"):
    """Names and texts of the hops of a run."""
    cards = page.get_by_role("article", name=run).locator("li.card:not(.stop)")
    return [
        (card.locator("h4").inner_text().split("\n")[0].split()[2], card.locator(".said").text_content())
        for card in cards.all()
    ]


def shown(share: float) -> str:
    """A probability as the page shows it, with spaces that do not break."""
    text = f"{100 * share:.0f} %" if share in (0, 1) else f"{100 * share:.1f} %"
    if share not in (0, 1):
        text = "< 0.1 %" if share < 0.001 else "> 99.9 %" if share > 0.999 else text
    return text.replace(" ", "\u00a0")


def test_asking_by_the_keyboard_shows_every_hop_and_what_it_took(start, visit):
    served = start()
    route = served.router.route(QUESTION).hops
    page = ready(visit(served.url))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "question"
    page.keyboard.type(QUESTION)
    page.keyboard.press("Control+Enter")
    page.locator(".badge").wait_for()
    page.locator("#stop:disabled").wait_for()
    assert hops(page) == [(hop.model, hop.response) for hop in route]
    assert page.locator("li.card").nth(len(route) - 1).locator(".badge").count() == 1
    for card, hop in zip(page.locator("li.card").all(), route, strict=False):
        assert card.locator(".share").all_text_contents() == [shown(share) for share in hop.probabilities]
        assert f"{hop.tokens_in} tokens read, {hop.tokens_out} written" in card.locator(".facts").text_content()
    cells = page.locator("#totals tbody tr").locator("th, td").all_text_contents()
    tokens, cost = sum(hop.tokens_in + hop.tokens_out for hop in route), sum(hop.cost for hop in route)
    assert cells[:4] == ["hierrouter", "1", str(tokens), f"{cost:,g}"]
    news = page.get_by_role("log").locator("p").all_text_contents()
    assert [f"{hop.model} wrote: {hop.response}" for hop in route] == [line for line in news if " wrote: " in line]
    ask(page)
    assert page.locator("#totals tbody td").all_text_contents()[:2] == ["2", str(2 * tokens)]


def test_a_member_answers_beside_the_router(start, visit, backends):
    served = start()
    page = ready(visit(served.url))
    page.get_by_label("Compare with").select_option("speller")
    ask(page)
    page.locator(".badge").nth(1).wait_for()
    assert hops(page, "speller alone") == [("speller", backends[2].answer(QUESTION).text)]
    assert len(hops(page)) == len(served.router.route(QUESTION).hops)
    rows = page.locator("#totals tbody th").all_text_contents()
    assert sorted(rows) == ["hierrouter", "speller"]


@pytest.fixture
def endpoint():
    fakes = []

    def make(text: str, seconds: float = 0.0) -> FakeServer:
        fakes.append(FakeServer(either(lambda asked: text, seconds)))
        return fakes[-1]

    yield make
    for fake in fakes:
        fake.stop()


@pytest.fixture
def start_endpoints(make_bundle, start):
    def go(*servers, actions=(0, 0)):
        router = endpoint_router(servers, make_bundle, horizon=len(actions))
        router.bundle = always(router.bundle, actions)
        return start(of=router)

    return go


@pytest.mark.parametrize("bypass_csp", [False, True], ids=["with the policy", "without it"])
def test_hostile_output_stays_text(start_endpoints, endpoint, visit, bypass_csp):
    """In a hop that comes whole and in one that is streamed; the page alone holds, and the policy besides."""
    page = ready(visit(start_endpoints(endpoint(HOSTILE)).url, bypass_csp=bypass_csp))
    ask(page, HOSTILE)
    assert hops(page) == [("m0", HOSTILE), ("m0", HOSTILE)]
    assert page.locator("#runs-section").locator("img, script, style, a").count() == 0
    assert page.locator(".said").first.is_visible()
    assert page.title() == "hierrouter"
    assert page.locator("#asked").text_content() == HOSTILE


def test_words_are_shown_as_they_come_and_stop_ends_the_member(start_endpoints, endpoint, visit):
    slow = endpoint("one two three four five six seven eight nine ten " * 3, 0.15)
    served = start_endpoints(slow, actions=(0,))
    page = ready(visit(served.url))
    page.get_by_label("Question").fill("q")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.locator(".said", has_text="one two three").wait_for()
    assert "ten" not in page.locator(".said").text_content()
    stop = page.get_by_role("button", name="Stop")
    stop.focus()
    page.keyboard.press("Enter")
    page.get_by_text("Stopped.", exact=True).wait_for()
    assert page.evaluate("document.activeElement.id") == "ask"
    deadline = time.monotonic() + 5
    while served.service.gate.under_way and time.monotonic() < deadline:
        time.sleep(0.02)
    assert served.service.gate.under_way == 0
    assert "ten" not in page.locator(".said").text_content()


def test_a_member_that_fails_is_shown_and_the_route_goes_on(start_endpoints, endpoint, visit):
    dead, live = endpoint(""), endpoint("fine")
    dead.rule = lambda asked: type(live.rule(asked))(status=500, body={"error": {"message": "out of order"}})
    page = ready(visit(start_endpoints(dead, live, actions=(0,)).url))
    ask(page)
    assert "out of order" in page.locator("li.lost .facts").text_content()
    assert page.locator("li.answer .said").text_content() == "fine"
    assert "left out" in page.locator("li.answer .reason").text_content()


def test_where_no_member_answers_the_page_says_why_and_can_ask_again(start_endpoints, endpoint, visit):
    server = endpoint("fine")
    works, server.rule = server.rule, lambda asked: type(works(asked))(status=500)
    page = ready(visit(start_endpoints(server, actions=(0,)).url))
    ask(page)
    assert "m0" in page.locator(".run .trouble").text_content()
    server.rule = works
    ask(page)
    assert hops(page) == [("m0", "fine")]


def test_conditions_that_the_policy_was_not_trained_for_name_the_option(start, visit):
    page = ready(visit(start().url))
    for label, option in (("Cost weight", "cost_conditioned"), ("Budget", "budgeted")):
        field = page.get_by_label(label)
        assert field.is_disabled()
        words = page.locator(f"#{field.get_attribute('aria-describedby')}")
        assert f"--train.static.{option} true" in words.text_content()
    assert page.get_by_label("Most hops").locator("option").count() == HORIZON


def test_the_slider_tells_the_policy_its_cost_weight(start, visit, make_bundle, backends, encoder):
    prices = [backend.price for backend in backends]
    bundle = make_bundle(prices, HORIZON, {"cost_weight": [0.001, 0.3], "budget": [0.5, 8.0]})
    served = start(of=Router(bundle, backends, encoder, HopPrompt()))
    page = ready(visit(served.url))
    slider = page.get_by_label("Cost weight")
    assert "0.02" in slider.get_attribute("aria-valuetext")
    page.get_by_label("Question").fill(QUESTION)
    page.get_by_role("button", name="Only decide").click()
    page.locator("#decision .share").first.wait_for()
    slider.focus()
    with page.expect_response("**/v1/decision") as reply:
        page.keyboard.press("End")
    assert reply.value.request.post_data_json["hierrouter"] == {"cost_weight": pytest.approx(0.3)}
    assert slider.get_attribute("aria-valuetext") == "0.3"
    answer = reply.value.json()
    page.locator("#decision", has_text=f"({shown(answer['probabilities'][answer['action']])})").wait_for()
    assert page.locator("#decision .share").all_text_contents() == [shown(p) for p in answer["probabilities"].values()]
    page.get_by_label("Budget").fill("5000")
    page.get_by_label("Most hops").select_option("1")
    with page.expect_request("**/v1/chat/completions") as asked:
        ask(page)
    told = {"cost_weight": pytest.approx(0.3), "budget": 5000, "max_hops": 1}
    assert asked.value.post_data_json["hierrouter"] == told
    route = served.router.route(QUESTION, cost_weight=0.3, budget=5000, max_hops=1).hops
    assert hops(page) == [(hop.model, hop.response) for hop in route]


def test_a_key_is_asked_for_where_one_is_wanted_and_stays_in_the_tab(start, visit):
    served = start(key="open sesame")
    page = visit(served.url)
    field = page.get_by_label("Bearer key")
    field.wait_for()
    assert page.get_by_role("button", name="Ask", exact=True).is_disabled()
    for key in ("wrong", "open sesame"):
        field.fill(key)
        page.keyboard.press("Enter")
        if key == "wrong":
            page.get_by_text("The server refuses this key.").wait_for()
            assert page.evaluate("sessionStorage.length") == 0
    ready(page)
    assert not field.is_visible()
    assert page.evaluate("[Object.values(sessionStorage), localStorage.length, document.cookie]") == [
        ["open sesame"],
        0,
        "",
    ]
    ask(page)
    assert hops(page)
    page.get_by_role("button", name="Forget the key").click()
    field.wait_for()
    assert page.evaluate("sessionStorage.length") == 0
    refused = [line for line in visit.complaints if "401" in line]  # the browser notes both refusals, as it should
    assert len(refused) == 2
    visit.complaints[:] = [line for line in visit.complaints if line not in refused]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_bars_the_way_in_either_palette(start, visit, scheme):
    """Names, roles, contrast, focus and order by axe-core's rules; and no sideways scrolling at 320 pixels."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = ready(visit(start().url, color_scheme=scheme, bypass_csp=True, viewport={"width": 320, "height": 800}))
    page.get_by_label("Question").fill(QUESTION)
    page.get_by_role("button", name="Only decide").click()
    page.locator("#decision .share").first.wait_for()
    assert faults(axe.Axe().run(page)) == []
    page.get_by_label("Compare with").select_option("reader")
    ask(page)
    assert faults(axe.Axe().run(page)) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"
    assert dark == (scheme == "dark")


def faults(results) -> list[str]:
    violations = results.response["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in violations for node in one["nodes"]]


def test_a_fault_of_the_page_would_be_noticed(chromium):
    """The check above finds what it looks for: a control without a name, and grey on grey."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = chromium.new_page()
    page.set_content('<main><input><p style="color:#aaa;background:#999">some words</p></main>')
    found = {line.split(":")[0] for line in faults(axe.Axe().run(page))}
    assert {"label", "color-contrast"} <= found
    page.close()
