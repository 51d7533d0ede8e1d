"""The style sheet of pages: light and dark, and for paper."""

STYLE = """\
:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --paper: #ffffff; --ink: #1c2430; --soft: #5b6675; --line: #dfe4ea;
  --good: #0b6e4f; --good-ground: #dff3ea; --warn: #8a5200; --warn-ground: #fdeed3;
  --bad: #a3242b; --bad-ground: #fbe1e2; --cool: #2a4d8f; --cool-ground: #e3ebfa;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12161c; --paper: #1a2028; --ink: #e6eaf0; --soft: #9aa6b5; --line: #2d3642;
    --good: #7fdcb8; --good-ground: #123a2d; --warn: #f4c777; --warn-ground: #3d2c0e;
    --bad: #f5a3a7; --bad-ground: #451a1d; --cool: #a9c3f5; --cool-ground: #1d2c49;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 64px; }
header { margin-bottom: 28px; }
.kicker {
  margin: 0; color: var(--soft); font-size: 13px; letter-spacing: .08em; text-transform: uppercase;
}
h1 { margin: 2px 0 6px; font-size: 32px; line-height: 1.2; overflow-wrap: anywhere; }
h1 span { color: var(--soft); font-weight: 400; }
h2 { margin: 0 0 10px; font-size: 19px; }
.lead { margin: 0 0 14px; font-size: 17px; }
section {
  margin: 18px 0; padding: 20px 22px; background: var(--paper);
  border: 1px solid var(--line); border-radius: 10px;
}
section p { margin: 0 0 10px; color: var(--soft); }
section.cards {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 12px;
  padding: 0; background: none; border: 0;
}
.card {
  padding: 14px 16px; background: var(--paper);
  border: 1px solid var(--line); border-radius: 10px;
}
.card p { margin: 0; color: var(--soft); font-size: 13px; }
.card strong { display: block; font-size: 24px; font-variant-numeric: tabular-nums; }
.card small { color: var(--soft); overflow-wrap: anywhere; }
.badge {
  display: inline-block; margin: 0 6px 4px 0; padding: 2px 9px; border-radius: 99px;
  font-size: 13px; white-space: nowrap; background: var(--ground); color: var(--soft);
}
.good { background: var(--good-ground); color: var(--good); }
.warn, .s-changed, .s-moved { background: var(--warn-ground); color: var(--warn); }
.bad, .s-removed { background: var(--bad-ground); color: var(--bad); }
.s-added, .s-split { background: var(--cool-ground); color: var(--cool); }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: 14px; }
th {
  padding: 6px 10px; text-align: left; color: var(--soft); font-weight: 600;
  border-bottom: 2px solid var(--line); white-space: nowrap;
}
td { padding: 6px 10px; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child td { border-bottom: 0; }
td small { color: var(--soft); }
td .badge { margin: 0; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code {
  font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  overflow-wrap: anywhere;
}
summary { cursor: pointer; }
section > details { margin: 8px 0; }
section > details > summary { margin-bottom: 8px; font-weight: 600; }
ul { margin: 10px 0 0; padding-left: 20px; color: var(--soft); }
footer { margin-top: 24px; color: var(--soft); font-size: 13px; }
footer p { margin: 2px 0; }
@media print { body { background: #fff; } section, .card { break-inside: avoid; } }
"""
