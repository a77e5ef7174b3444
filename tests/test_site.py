"""The docs site: what `make docs` builds of the Markdown files, which the forge shows as they are."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import mkdocs_build
from reconciler import cli as reconciler
from render import cli as renderer
from render import pipeline, schema

ROOT = Path(__file__).parents[1]
SOURCES = [*(ROOT / source for source in mkdocs_build.PAGES), *sorted(ROOT.glob("docs/*.md"))]
SHOWN = {"h1", "h2", "h3", "p", "ul", "ol", "li", "table", "tr", "td", "pre", "code", "img", "strong", "em"}
LOADED = {("link", "href"), ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("object", "data")}
APP = "apiVersion: celeryproject.org/v1alpha1\nkind: CeleryApp\n"
REST = "metadata: {name: shop}\nspec: {image: shop, app: shop}\n"  # of an app of which a page shows the first lines

each_page = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def build(place, out):
    command = [sys.executable, "-m", "mkdocs", "build", "--config-file", place / "mkdocs.yml", "--site-dir", out]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"NO_MKDOCS_2_WARNING": "1"})


def blocks(source, language):
    return re.findall(rf"^```{language}\n(.*?)^```", source.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    built = build(ROOT, out)
    assert (built.returncode, "WARNING" in built.stderr) == (0, False), built.stderr
    return out


def test_a_link_or_an_anchor_that_leads_nowhere_fails(tmp_path):
    for name in ("mkdocs.yml", "mkdocs_build.py", *mkdocs_build.PAGES):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with (tmp_path / "docs/editors.md").open("a") as page:
        page.write("\n[a](nowhere.md) [b](scaling.md#nowhere) [c](../tests/nowhere.py)\n")
    built = build(tmp_path, tmp_path / "site")
    assert built.returncode == 1
    for target in ("nowhere.md", "scaling.md#nowhere", "../tests/nowhere.py"):
        assert f"'{target}'" in built.stderr


def test_nothing_is_loaded_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(SOURCES)
    loaded = {
        attributes[name]
        for page in pages
        for tag, attributes in Tags(page.read_text()).tags
        for name in attributes
        if (tag, name) in LOADED
    }
    styles = {url for style in site.rglob("*.css") for url in re.findall(r"url\(([^)]*)\)", style.read_text())}
    assert not [url for url in loaded | styles if re.match(r"[\"']?(https?:)?//", url)]


@each_page
def test_a_page_is_on_the_site_what_it_is_on_the_forge(source, site):
    name = mkdocs_build.PAGES.get(source.name, source.name).removesuffix(".md")
    page = (site / ("" if name == "index" else name) / "index.html").read_text()
    [article] = re.findall(r"<article.*?</article>", page, re.DOTALL)
    forge = MarkdownIt("commonmark").enable("table").render(source.read_text(encoding="utf-8"))
    here, there = (
        Counter(tag for tag, _ in Tags(html).tags if tag in SHOWN)
        for html in (re.sub(r"<nav.*?</nav>", "", article, flags=re.DOTALL), forge)
    )
    assert here == there


@each_page
def test_the_commands_of_a_page_have_the_options_they_are_given(source):
    for line in "".join(blocks(source, "console")).splitlines():
        if found := re.match(r"\$ (celery-render|celery-reconcile)( [^#|>]*)", line):
            program, arguments = found[1], found[2].split()
            command = renderer.command if program == "celery-render" else reconciler.main.commands[arguments[0]]
            known = {option for parameter in command.params for option in parameter.opts}
            assert {argument for argument in arguments if argument.startswith("-") and argument != "-"} <= known


@each_page
def test_the_apps_of_a_page_can_be_rendered(source, tmp_path):
    apps = [text for text in blocks(source, "yaml") if APP in text]
    for text in apps:
        (tmp_path / "app.yaml").write_text(text if "\nspec:" in text else f"{text}{REST}")
        assert pipeline.files(pipeline.bases([str(tmp_path / "app.yaml")], schema.load(), strict=True))


def test_the_app_of_the_quickstart_can_be_scaled_as_it_says(tmp_path):
    app, scaling = blocks(ROOT / "docs/quickstart.md", "yaml")
    (tmp_path / "app.yaml").write_text(app.replace("      replicas: 1\n", scaling))
    assert "naps/celeryapp-naps.yaml" in pipeline.files(pipeline.bases([str(tmp_path / "app.yaml")], schema.load()))
