"""A page, taken apart by the standard library's parser."""

from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}
LOADS = {"src", "href", "xlink:href", "srcset", "data", "action", "poster"}


class Page(HTMLParser):
    """Collects tags, texts, ids and what is loaded; notes tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.loads, self.handlers = [], [], [], []
        self.texts, self.open, self.unmatched = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._note(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self._note(attrs)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unmatched.append(tag)

    def handle_data(self, data):
        self.texts.append(data)

    def _note(self, attrs):
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in LOADS:
                self.loads.append(value)
            if name.startswith("on"):
                self.handlers.append(name)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())
