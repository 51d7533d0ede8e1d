"""The style sheet of an analysis' page, beyond the common one."""

STYLE = """\
svg { display: block; width: 100%; height: auto; }
svg text { font-family: inherit; fill: var(--ink); }
.axis { font-size: 13px; fill: var(--soft) !important; }
.label { font-size: 15px; }
.grid { stroke: var(--line); stroke-width: 1; }
.line { fill: none; stroke-width: 2.5; }
.line.c0 { stroke: var(--cool); } .line.c1 { stroke: var(--bad); }
.line.c2 { stroke: var(--good); stroke-dasharray: 6 4; }
.dot.c0 { fill: var(--cool); } .dot.c1 { fill: var(--bad); } .dot.c2 { fill: var(--good); }
.key { display: inline-block; width: 18px; height: 4px; margin: 0 6px 3px 0; border-radius: 2px; }
.key.c0 { background: var(--cool); } .key.c1 { background: var(--bad); }
.key.c2 { background: var(--good); }
.key.weights { background: var(--cool); } .key.outputs { background: var(--good); }
.keys span { margin-right: 18px; white-space: nowrap; }
.bar { fill: var(--cool); } .bar.outputs { fill: var(--good); }
.bar.bad { fill: var(--bad); }
tr.first td:nth-child(5), tr.second td:nth-child(6) {
  background: var(--good-ground); color: var(--good);
}
.edge { stroke: var(--soft); stroke-width: 1.5; fill: none; }
.box { stroke: var(--line); fill: var(--ground); }
.box.good { fill: var(--good-ground); } .box.warn { fill: var(--warn-ground); }
.box.bad { fill: var(--bad-ground); stroke: var(--bad); }
.small { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 14px; }
.small figure { margin: 0; }
.small figcaption { font-size: 13px; color: var(--soft); overflow-wrap: anywhere; }
td.name { overflow-wrap: anywhere; min-width: 150px; }
@media (max-width: 640px) {
  main { padding: 20px 10px 40px; } section { padding: 14px 12px; } h1 { font-size: 25px; }
  .axis { font-size: 20px; } .label { font-size: 21px; } .small .axis { font-size: 13px; }
}
"""
