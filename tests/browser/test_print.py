import re

from test_neuron_page import PATH, three_layers


def test_a_neuron_with_two_tables_of_twenty_rows_prints_on_one_sheet(visit, tmp_path):
    for path, content in three_layers().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    page = visit(tmp_path / PATH)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    sheets = page.pdf(format="A4", prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", sheets)) == 1
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    assert not page.locator(".ways, .tools, .how, #use, .skip").filter(visible=True).count()
    assert page.locator("h1, img, svg, table").filter(visible=True).count() == 6
