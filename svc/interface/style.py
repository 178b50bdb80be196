"""How the page looks: theme, style sheet, and the script that sets the language before gradio starts."""

from typing import Any

from svc.interface.users import LANGUAGE_COOKIE

CSS = """
.gradio-container { max-width: 1200px !important; width: 100% !important; margin: 0 auto !important; }
.gradio-container > main, .gradio-container .wrap.main { width: 100%; max-width: 100% !important; }
.svc-head { align-items: center; }
.svc-job { display: grid; gap: .4rem; padding: .5rem 0; }
.svc-job:empty { display: none; }
.svc-job-title { font-weight: 600; overflow-wrap: anywhere; }
.svc-job progress { width: 100%; height: .8rem; border: 0; border-radius: .4rem; overflow: hidden;
  background: var(--border-color-primary); }
.svc-job progress::-webkit-progress-bar { background: var(--border-color-primary); }
.svc-job progress::-webkit-progress-value { background: var(--color-accent); }
.svc-job progress::-moz-progress-bar { background: var(--color-accent); }
.svc-error { color: var(--error-text-color, #b91c1c); margin: 0; }
.svc-table { width: 100%; border-collapse: collapse; border: 0 !important; }
.svc-table th, .svc-table td { text-align: start; padding: .35rem .5rem; overflow-wrap: anywhere;
  border: 0 !important; border-bottom: 1px solid var(--border-color-primary) !important; }
.svc-table, .svc-table thead, .svc-table tbody, .svc-table tr { border: 0 !important; }
.svc-table th { font-weight: 600; }
.svc-scroll { overflow-x: auto; }
.svc-warning { color: var(--body-text-color-subdued); margin: 0; }
.svc-findings { margin: .25rem 0 0; padding-inline-start: 1.25rem; list-style: disc; }
.svc-slice { display: grid; gap: .25rem; }
.svc-slice p, .svc-stem { margin: 0 0 .25rem; overflow-wrap: anywhere; }
.svc-slice-row { align-items: center; flex-wrap: nowrap !important; padding: .35rem 0;
  border-bottom: 1px solid var(--border-color-primary); }
.svc-slice-row > :first-child { min-width: min(100%, 18rem) !important; }
.svc-slice-row > :last-child { flex: 0 0 auto !important; width: auto !important; }
.svc-pager { align-items: center; }
.svc-table audio { min-width: 13rem; }
.dark audio { color-scheme: dark; }
.svc-table th { overflow-wrap: normal !important; }
#train-report-table td { white-space: nowrap; }
.svc-slice audio, .svc-stem audio, .svc-table audio { width: 100%; max-width: 26rem; height: 2.25rem; display: block; }
.svc-curves { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); }
.svc-curve { margin: 0; padding: .5rem; border: 1px solid var(--border-color-primary); border-radius: .5rem; }
.svc-curve figcaption, .svc-axis { display: flex; justify-content: space-between; gap: .5rem; margin: 0; }
.svc-curve svg { width: 100%; height: auto; display: block; }
.svc-axis { font-size: .8rem; color: var(--body-text-color-subdued); }
.svc-f0 { display: grid; gap: .5rem; min-width: 0; }
.svc-f0:not(.svc-f0-full) { display: none; }
.svc-f0 p { margin: 0; overflow-wrap: anywhere; }
.dark .svc-f0 { color-scheme: dark; }
.svc-f0 .svc-f0-button, .svc-f0 input { margin: 0; font-size: .9rem; font-weight: 500; }
.svc-f0-label { font-weight: 600; }
.svc-f0-bar, .svc-f0-group { display: flex; flex-wrap: wrap; gap: .35rem; align-items: center; }
.svc-f0-bar { gap: .35rem 1rem; }
.svc-f0-canvas { min-width: 0; border: 1px solid var(--border-color-primary); border-radius: .5rem; }
.svc-f0 canvas { display: block; width: 100%; height: 300px; border-radius: .5rem; touch-action: none;
  cursor: crosshair; }
.svc-f0 canvas[data-tool=move] { cursor: grab; touch-action: pan-y; }
.svc-f0 canvas:focus-visible, .svc-f0 button:focus-visible { outline: 2px solid var(--color-accent);
  outline-offset: 2px; }
.svc-f0-button { padding: .3rem .6rem; border: 1px solid var(--border-color-primary); border-radius: .4rem;
  background: var(--button-secondary-background-fill); color: var(--button-secondary-text-color); min-height: 2.25rem; }
.svc-f0-button:disabled { opacity: .45; }
.svc-f0-button[aria-pressed=true], .svc-f0-main { background: var(--button-primary-background-fill);
  color: var(--button-primary-text-color); border-color: transparent; }
.svc-f0 input[type=number] { width: 5rem; min-height: 2.25rem; padding: .2rem .4rem; border-radius: .4rem;
  border: 1px solid var(--border-color-primary); background: var(--input-background-fill); color: inherit; }
.svc-f0 input[type=range] { width: 100%; accent-color: var(--color-accent); }
.svc-players { display: grid; gap: .25rem; }
.svc-card { padding: .5rem 0; border-bottom: 1px solid var(--border-color-primary); }
.svc-card h4 { margin: 0 0 .25rem; overflow-wrap: anywhere; }
.svc-stem { display: grid; grid-template-columns: 8rem 1fr auto; align-items: center; gap: .5rem; }
@media (max-width: 640px) {
  .gradio-container { padding: .25rem !important; }
  .svc-head h2 { font-size: 1.1rem; }
  .svc-table th, .svc-table td { padding: .25rem; font-size: .85rem; }
  .svc-stem { grid-template-columns: 1fr auto; }
  .svc-stem audio { grid-column: 1 / -1; grid-row: 2; max-width: 100%; }
  .svc-slice-row { flex-wrap: wrap !important; }
}
"""


def theme() -> Any:
    """Gradio's default theme with system fonts, so that the page needs nothing from the internet; greys to be read."""
    import gradio as gr

    fonts = ["system-ui", "-apple-system", "Segoe UI", "Noto Sans", "Noto Sans CJK SC", "PingFang SC", "sans-serif"]
    plain = gr.themes.Default(primary_hue="indigo", font=fonts, font_mono=["ui-monospace", "monospace"])
    # Gradio's own grey for help has a contrast of 2.6 to white; readable text needs 4.5.
    return plain.set(body_text_color_subdued="*neutral_500", block_info_text_color="*neutral_500")


def head(default: str, upload_limit_mb: int) -> str:
    """Markup for the head of the page, before any of gradio's scripts.

    Gradio takes the browser's language; the reader's choice is put in its place.
    `default` is a browser's name of a language for readers who have chosen none, or "auto"; `upload_limit_mb` is what
    a reader is told whose file is larger.
    """
    from svc.interface.texts import closest, languages, say, words

    codes = {language: words(language)["language.browser"] for language in languages()}
    titles = {codes[language]: words(language)["errors.title"] for language in codes}
    limits = {
        codes[language]: say(language, "errors.too_large", names="#", limit=upload_limit_mb) for language in codes
    }
    start = "navigator.language" if default == "auto" else repr(codes[closest(default)])
    return f"""
<script>
(() => {{
  const codes = {codes!r};
  const chosen = (document.cookie.match(/(?:^|; ){LANGUAGE_COOKIE}=([\\w-]+)/) || [])[1];
  const wish = codes[chosen] || {start};
  const known = Object.keys(codes).find((code) => wish.toLowerCase().split("-")[0] === code.split("-")[0]);
  const language = codes[known] || "en";
  Object.defineProperty(navigator, "language", {{ get: () => language, configurable: true }});
  Object.defineProperty(navigator, "languages", {{ get: () => [language], configurable: true }});
  document.documentElement.lang = language;
  // Gradio writes this word itself above every sentence, whatever the error's title is.
  const title = {titles!r}[language];
  // So is what it says of a file that is too large to be sent, which the server never sees.
  const tooLarge = {limits!r}[language];
  const large = /^\\s*File\\(s\\) exceed the maximum allowed size of [^:]*: (.*)$/s;
  const texts = (place) => [...place.childNodes].filter((node) => node.nodeType === 3);
  new MutationObserver(() => {{
    document.querySelectorAll(".toast-title").forEach((place) => {{
      const word = texts(place).find((node) => node.data.trim() === "Error");
      if (word) word.data = title;
    }});
    document.querySelectorAll("[data-testid=toast-body] *").forEach((place) => texts(place).forEach((node) => {{
      const found = node.data.match(large);
      if (found) node.data = tooLarge.replace("#", () => found[1]);
    }}));
  }}).observe(document, {{ childList: true, subtree: true }});
}})();
</script>"""


def switch_script(path: str) -> str:
    """JavaScript of the language box: keep the choice for a year and show the page anew."""
    return (
        f"(language) => {{ document.cookie = `{LANGUAGE_COOKIE}=${{language}}; path={path or '/'}; "
        f"max-age=31536000; SameSite=Lax`; window.location.reload(); }}"
    )
