"""The page for people: what the published file says, in words and units; harmless, and of use without a network."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.transforms.publishing.report.published import Company, settings_with
from transforms.publishing import PublicationError
from transforms.publishing.report import wording, write_report

EVIL = "<script>alert('x')</script><img src=x onerror=\"alert(1)\">"
_VOID = {"meta", "br", "img", "link"}


class Page(HTMLParser):
    """Elements, text, and the rows of each table by caption."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self._open: list[str] = []
        self._caption = ""
        self.feed(text)
        assert self._open == [], "every element is closed"
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in _VOID:
            self.handle_data(" ")
            return
        self._open.append(tag)
        if tag == "caption":
            self._caption = ""
        elif tag == "tr":
            self.tables.setdefault(self._caption, []).append([])
        elif tag in {"td", "th"}:
            self.tables[self._caption][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        self.text += " "

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.text += data
        if "caption" in self._open:
            self._caption += data
        elif {"td", "th"} & set(self._open):
            self.tables[self._caption][-1][-1] += data

    def rows(self, caption: str) -> list[list[str]]:
        """Cells of a table's body, the bars left out."""
        rows = [[" ".join(cell.split()) for cell in row] for row in self.tables[caption][1:]]
        return [[cell for cell in row if cell] for row in rows]


def page_of(home: Path, company: Company) -> Page:
    return Page(write_report(settings_with(home, company)).latest.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page_of(tmp_path_factory.mktemp("home"), Company())


def test_segments_stand_by_currency_and_unlike_currencies_are_never_added(page: Page) -> None:
    assert page.rows("Segments in EUR: customers and net revenue") == [
        ["Champions bought lately, often and much", "1 16.7 %", "EUR 900 112.5 %", "EUR 1,000.00"],
        ["Lost bought least, longest ago", "1 16.7 %", "EUR −100 −12.5 %", "EUR 500.00"],
    ]
    assert page.rows("Segments in JPY: customers and net revenue")[0][1:] == [
        "1 16.7 %",
        "JPY 80,000 100.0 %",
        "JPY 90,000.00",
    ]
    assert page.rows("Segments: customers and net revenue") == [
        ["No Purchase known to us, never bought", "3 50.0 %", "0", "–"]
    ]
    for total in ("91,500", "80,800", "90,500"):
        assert total not in page.text


def test_the_figures_on_top_name_their_currency_and_their_change(page: Page) -> None:
    for text in (
        "Customers as of 30 June 2025",
        "Published 1 Jul 2025, 03:04 UTC. Changes are those since 31 May 2025.",
        "Customers 6 +20.0 % people with a touchpoint",
        "Buyers 3 50.0 % of customers",
        "Net revenue EUR 1,500 +20.0 % of 2 buyers since their first purchase",
        "Net revenue JPY 90,000 of 1 buyers since",
        "Expected EUR 250 net revenue in 365 days",
        "Multi-channel 33.3 % use online and offline channels",
    ):
        assert text in page.text, text


def test_what_stands_out_is_said_in_sentences(page: Page) -> None:
    for text in (
        "Champions are 16.7 % of all customers and bring 112.5 % of the past twelve months' net revenue in EUR.",
        "2 customers are at risk or dormant, who have brought JPY 90,000 and EUR 500 so far.",
        "110 records were read, 6 of them (5.5 %) wait in quarantine; 1 file refused or held.",
    ):
        assert text in page.text, text


def test_value_says_what_is_expected_or_why_nothing_is(page: Page) -> None:
    assert "Expected net revenue of the next 365 days: EUR 250" in page.text
    assert "still active with a probability of 50.0 %" in page.text
    assert "No forecast in this publication: too few buyers." in page.text


def test_the_journey_has_those_on_the_way_and_those_who_leave(page: Page) -> None:
    on_the_way = page.rows("On the way: customers by stage of the journey")
    assert on_the_way[0][1:] == ["3 −25.0 %", "6", "50.0 %", "7.5"]
    assert on_the_way[1][1:] == ["1", "1", "–", "–"]
    leaving = page.rows("Leaving: customers by stage of the journey")
    assert [row[0].split(" ")[0] for row in leaving] == ["At", "Dormant"]
    assert leaving[0][1:] == ["1 ±0.0 %", "2", "25.0 %", "40"]


def test_channels_and_the_hotline_say_their_figures(page: Page) -> None:
    assert page.rows("Channels: touchpoints, customers, orders and net revenue") == [
        ["Store", "1,234", "5", "7", "EUR 1,500", "12.5 %"],
        ["Hotline", "40", "3", "–", "–", "–"],
    ]
    for text in ("Service level 82.0 %", "Abandoned 5.0 %", "Speed of answer 12 s", "Solved at once 89.1 %"):
        assert text in page.text, text
    assert "Satisfaction 4.0" in page.text and "Calls 40 4 complaints" in page.text


def test_row_accounts_freshness_and_reasons_are_told(page: Page) -> None:
    assert page.rows("Sources: how new their data are and what became of their records") == [
        [
            "pos_sales transactions",
            "30 Jun 2025, 20:00",
            "1 Jul 2025, 03:04 2 files 1 refused",
            "100",
            "90",
            "6 6.0 %",
            "4",
        ],
        [
            "surveys surveys",
            "27 Jun 2025, 01:00 3 days before the last day that counts",
            "1 Jul 2025, 03:04 1 file",
            *("10", "10", "0 0.0 %", "0"),
        ],
    ]
    assert page.rows("Reasons of the quarantine, most frequent first") == [
        ["pos_sales", "the value has the wrong type: qty; the value is not in the list: kind", "4"],
        ["pos_sales", "strange", "2"],
    ]
    assert page.rows("Files that were refused or are held as a whole, latest first") == [
        ["pos_sales", "b.csv", "rejected", "empty: no row"]
    ]


def test_a_confirmed_publication_says_so(tmp_path: Path) -> None:
    company = Company().published(
        held_for="customers 5 → 9", confirmed_by="ann", confirmation_reason="the new shop", previous=None
    )

    text = page_of(tmp_path, company).text

    assert "Confirmed by ann , because it differs much from the publication before: customers 5 → 9." in text
    assert "Reason given: the new shop" in text
    assert "The first publication" in text and "±" not in text


def test_tenths_of_buyers_are_ranked_by_what_they_brought(tmp_path: Path) -> None:
    buyers = [(f"c{n}", "EUR", str(n), None, None, None, "historic", None) for n in range(1, 21)]

    found = page_of(tmp_path, Company().having(customer_clv=buyers)).text

    # 20 + 19 of 210, then 18 + 17, and so on.
    assert "Tenth 1: 18.6 % 19 1. Tenth 2: 16.7 % 17 2. Tenth 3: 14.8 % 15 3." in found
    assert "Tenth 10: 1.4 % 1 10." in found
    assert "The best tenth of the buyers has brought 18.6 % of all net revenue." in found


def test_a_company_without_sales_sources_or_segments_has_a_page(tmp_path: Path) -> None:
    company = Company().having(
        customer_360=[("c1", None, 0, None, None, "0")],
        **{name: [] for name in ("segment_summary", "customer_clv", "journey_funnel", "channel_summary")},
        load_audit=[],
        quarantine=[],
    )

    text = page_of(tmp_path, company.published(previous=None)).text

    assert "Nobody has bought yet." in text and "Customers 1 people" in text


def evil(company: Company) -> Company:
    """The company with a script in every text that comes from outside."""

    def row(values: tuple[Any, ...], kept: set[Any]) -> tuple[Any, ...]:
        return tuple(
            EVIL if isinstance(v, str) and v not in kept and not re.fullmatch(r"-?[\d.]+|[\d: -]+", v) else v
            for v in values
        )

    tables = {
        name: [row(values, {"rejected"}) for values in rows]
        for name, rows in company.rows.items()
        if name != "publication"
    }
    names = ("run_id", "watershed_version", "duckdb_version", "storage_version", "fingerprint", "held_for")
    names += ("confirmed_by", "confirmation_reason")
    return company.having(**tables).published(**dict.fromkeys(names, EVIL), previous=None)


def test_values_are_foreign_text(tmp_path: Path) -> None:
    pages = write_report(settings_with(tmp_path, evil(Company())))

    assert {path.parent for path in (pages.latest, pages.kept)} == {tmp_path / "reports"}
    text = pages.latest.read_text(encoding="utf-8")
    page = Page(text)
    assert page.text.count(EVIL) > 15
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert "<script" not in text
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_a_run_id_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    pages = write_report(settings_with(tmp_path, Company().published(run_id="../../../x")))

    assert pages.kept == tmp_path / "reports" / "20250701T030405Z-as-of-2025-06-30-________.html"


def test_the_policy_allows_this_style_and_nothing_else(tmp_path: Path) -> None:
    text = write_report(settings_with(tmp_path, Company())).latest.read_text(encoding="utf-8")
    page = Page(text)
    (policy,) = [a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not [tag for tag, attributes in page.tags if "style" in attributes or "src" in attributes]
    anchors = [a["href"] or "" for tag, a in page.tags if tag == "a"]
    ids = {a["id"] for _, a in page.tags if "id" in a}
    # The page on value lies beside this one.
    assert anchors and {anchor.removeprefix("#") for anchor in anchors} - {"value.html"} <= ids
    assert not re.search(r"https?://|url\(|@import", text)


def test_those_who_listen_or_print_get_the_same(page: Page) -> None:
    tags = [tag for tag, _ in page.tags]
    assert ("html", {"lang": "en"}) in page.tags
    assert tags.count("h1") == tags.count("main") == 1
    assert tags.count("caption") == tags.count("table") > 5
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    assert all(attributes.get("aria-hidden") == "true" for tag, attributes in page.tags if tag == "svg")
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def _contrast(one: str, other: str) -> float:
    """Contrast of two colours as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        digits = colour.removeprefix("#")
        parts = [
            int(c * 2 if len(digits) == 3 else c, 16) / 255
            for c in re.findall("." if len(digits) == 3 else "..", digits)
        ]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_told_apart(tmp_path: Path, scheme: str) -> None:
    text = write_report(settings_with(tmp_path, Company())).latest.read_text(encoding="utf-8")
    dark = re.findall(r"prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}", text, re.S)
    light = re.findall(r"(?:<style>|\}):root \{(.*?)\}", text, re.S)
    assert len(dark) == len(light) == 2
    colours = dict(re.findall(r"--([\w-]+): (#\w+)", " ".join(light + dark if scheme == "dark" else light)))

    for ink, grounds in {
        "ink": ("ground", "raised", "chip"),
        "soft": ("ground", "raised"),
        "accent": ("ground",),
        "alert": ("alert-ground",),
        "key": ("key-ground",),
    }.items():
        for ground in grounds:
            assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for shape in ("customers", "revenue"):
        assert _contrast(colours[shape], colours["raised"]) >= 3, shape
        assert _contrast(colours[shape], colours["rail"]) >= 3, shape


def test_the_same_publication_gives_the_same_page_and_one_copy(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, Company())
    first = write_report(settings)
    before = first.latest.read_bytes()

    again = write_report(settings)

    assert again == first and again.latest.read_bytes() == before == again.kept.read_bytes()
    assert sorted(path.name for path in settings.reports.iterdir()) == [first.kept.name, "latest.html"]


def test_the_oldest_copies_go_and_what_others_keep_there_stays(tmp_path: Path) -> None:
    for day in range(1, 6):
        moment = f"2025-07-0{day} 03:04:05"
        settings = settings_with(tmp_path, Company().published(published_at=moment), reports_kept=3)
        if day == 1:
            settings.reports.mkdir()
            (settings.reports / "20240101T000000Z-mine.html").write_text("mine")
        latest = write_report(settings).latest

    assert "Published 5 Jul 2025" in Page(latest.read_text(encoding="utf-8")).text
    kept = sorted(path.name for path in settings.reports.iterdir())
    assert kept == [
        "20240101T000000Z-mine.html",
        *(f"2025070{day}T030405Z-as-of-2025-06-30-01234567.html" for day in (3, 4, 5)),
        "latest.html",
    ]


def test_without_a_publication_or_with_an_older_one_the_reason_is_said(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, Company())
    with duckdb.connect(settings.published) as connection:
        connection.execute("ALTER TABLE marts.publication DROP COLUMN fingerprint")
    with pytest.raises(PublicationError, match="no publication of this version"):
        write_report(settings)

    settings.published.unlink()
    with pytest.raises(PublicationError, match="Nothing is published"):
        write_report(settings)
    assert not settings.reports.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (wording.money(1234.5, "EUR"), "EUR\u00a01,234"),
        (wording.money(-0.004, "EUR", 2), "EUR\u00a00.00"),
        (wording.money(None, "EUR"), "–"),
        (wording.share(0.00049), "0.0\u00a0%"),
        (wording.change(110, 100), "+10.0\u00a0%"),
        (wording.change(-50, -100), "+50.0\u00a0%"),
        (wording.change(3, 0), ""),
        (wording.points(0.1, 0.15), "−5.0\u00a0pts"),
        (wording.points(0.1, None), ""),
        (wording.days(1), "1\u00a0day"),
        (wording.days(7.5), "7.5\u00a0days"),
        (wording.reasons("duplicate_key"), "the key occurs twice"),
        (wording.reasons("type:a; b:c"), "the value has the wrong type: a; b:c"),
    ],
)
def test_figures_have_units_and_signs(text: str, said: str) -> None:
    assert text == said


def _long(company: Company) -> Company:
    """Names without a place to break, and amounts of a large company."""
    name = "an_extraordinarily_long_name_without_any_space_that_nobody_would_choose"
    rows = {table: list(values) for table, values in company.rows.items()}
    rows["segment_summary"] = [(name, "EUR", 10**9, 0.5, "123456789012.12", 0.5, "1234567890.12")]
    rows["customer_clv"] = [
        (f"c{n}", "EUR", "123456789012.12", "99999999999.99", 365, 0.5, "m", None) for n in range(20)
    ]
    rows["load_audit"] = [(name, name, name, "rejected", name, 10**12, 10**12, 10**9, 0, None, "2025-07-01 01:00:00")]
    rows["quarantine"] = [(name, f"rule:{name}; enum:{name}")]
    rows["channel_summary"] = [(name, 10**10, 10**9, 10**9, "123456789012.12", "EUR", 0.5, *[10**6] * 2, *[0.5] * 5)]
    return company.having(**rows)


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_its_screen_and_asks_for_nothing(tmp_path: Path, width: int) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    companies = {"plain": Company(), "evil": evil(Company()), "long": _long(Company())}
    files = {name: write_report(settings_with(tmp_path / name, company)).latest for name, company in companies.items()}
    seen: dict[str, Any] = {}
    complaints: list[str] = []
    requests: list[str] = []

    def look() -> None:
        with sync_api.sync_playwright() as playwright:
            try:
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            except sync_api.Error as error:
                pytest.skip(f"no Chromium: {error}")
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
                page.on("request", lambda request: requests.append(request.url))
                page.on("console", lambda message: complaints.append(message.text))
                page.on("pageerror", lambda error: complaints.append(str(error)))
                page.on("dialog", lambda dialog: complaints.append(dialog.message))
                for name, file in files.items():
                    page.goto(file.as_uri())
                    seen[f"{name} {scheme}"] = page.evaluate(
                        "[document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]"
                    )
            browser.close()

    # In a thread of its own: other tests leave an event loop behind in this one, which Playwright does not suffer.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(look).result()
    assert {name: found for name, (found, _) in seen.items() if found > width} == {}
    assert complaints == []
    assert sorted(set(requests)) == sorted(file.as_uri() for file in files.values())
    # The style sheet was let in by the policy, in both schemes.
    assert {colour for _, colour in seen.values()} == {"rgb(255, 255, 255)", "rgb(18, 22, 29)"}
