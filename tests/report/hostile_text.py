"""Text that others wrote, at its worst."""

TEXTS = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "say \"yes\" or 'no'",
    "a | b || c \\| d",
    "`code` ``` ~~~ ``",
    "---\ntitle: stolen\n---\n# Heading",
    "- item: {a: [1, 2], &anchor *alias !!python/object:os.system x}",
    "\u202egnp.exe \u2066x\u2069 \u200f\u061c",
    "*bold* _it_ **b** ~~s~~ [link](javascript:alert(1)) ![i](http://x.org/p.png) <http://x.org>",
    "www.example.org https://example.org me@example.org @someone #1 :smile: $x$ $$y$$",
    "&lt;b&gt; &#60; &amp;",
    "{{ 7 * 7 }} {% raw %} {# x #}",
    "line\none\r\ntwo\u2028three\x1b[31mred\x00",
    "null", "yes", "1e3", "? key", "%TAG", "@at", "`tick", "# comment", ": colon", "> fold",
    "1. one", "2) two", "- three", "+ four", "    code", "-", ". x",
    "_a_", "a_", "__b__ c_d_e _f", "===", "a=b ==", ":a: b:c: :x", "1.", "x: y: z:",
    "<!-- hf_fourier: end -->",
    "=HYPERLINK(1)",
)  # fmt: skip
ALL = " ".join(TEXTS)
