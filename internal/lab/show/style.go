package show

// pageStyle is the style sheet of the page. Colours of the nodes are told apart by people who see few colours, on light
// and dark.
const pageStyle = `
:root { --bg: #fbfbf9; --card: #ffffff; --ink: #1c2126; --soft: #626b75; --line: #e2e4e1; --grid: #eceeeb;
  --a: #2f6fd0; --b: #c9701a; --c: #7b4fb5; --d: #0f8a8a; --e: #a83a6f; --on: #ffffff; --good: #1d7f4e; --served: #bfe3cd; --servedink: #185c3a; --bad: #c8322b; }
@media (prefers-color-scheme: dark) {
:root { --bg: #14171a; --card: #1c2024; --ink: #e8eaec; --soft: #98a2ad; --line: #2e343a; --grid: #262b30;
  --a: #6ea4f4; --b: #eaa04e; --c: #b795ec; --d: #4cc9c9; --e: #e889b8; --on: #14171a; --good: #5cc790; --served: #23503a; --servedink: #bfe8d1; --bad: #f2736b; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0; background: var(--bg); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 40px 20px 60px; }
h1 { font-size: clamp(26px, 5vw, 38px); line-height: 1.15; letter-spacing: -0.02em; margin: 0 0 12px; text-wrap: balance; }
h2 { font-size: 22px; margin: 0 0 6px; letter-spacing: -0.01em; }
.lead { color: var(--soft); max-width: 44em; margin: 0 0 20px; }
.verdict { display: inline-block; font-weight: 650; padding: 6px 14px; border-radius: 999px; border: 1.5px solid currentColor; margin: 0 0 28px; }
.good { color: var(--good); } .bad { color: var(--bad); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; margin-bottom: 24px; }
.card { display: flex; flex-direction: column; gap: 2px; padding: 14px 16px; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px; color: inherit; text-decoration: none; }
.card:hover { border-color: var(--soft); }
.card .name { font-weight: 600; } .card .big { font-size: 30px; font-weight: 680; letter-spacing: -0.02em; line-height: 1.25; font-variant-numeric: tabular-nums; }
.card .small { color: var(--soft); font-size: 13px; } .card.bad { border-color: var(--bad); } .card.bad .big { color: var(--bad); }
.legend { display: flex; flex-wrap: wrap; gap: 6px 18px; font-size: 13px; color: var(--soft); margin: 0 0 24px; }
.legend span { display: inline-flex; align-items: center; gap: 6px; }
.swatch { display: inline-block; width: 14px; height: 14px; border-radius: 3px; }
.swatch.node-a { background: var(--a); } .swatch.node-b { background: var(--b); } .swatch.node-c { background: var(--c); }
.swatch.node-d { background: var(--d); } .swatch.node-e { background: var(--e); }
.swatch.served { background: var(--served); } .swatch.unserved { background: var(--bad); }
.swatch.round { border-radius: 50%; background: var(--soft); }
.swatch.tickmark { width: 14px; height: 8px; border-radius: 0; background: repeating-linear-gradient(90deg, var(--soft) 0 2px, transparent 2px 4px); }
.swatch.faultline, .swatch.releaseline { width: 2px; border-radius: 0; background: var(--bad); } .swatch.releaseline { background: var(--good); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 24px; margin-bottom: 24px; scroll-margin-top: 12px; }
section > p { margin: 0 0 18px; color: var(--soft); } section > p b { color: var(--ink); }
figure { margin: 0 0 22px; } figcaption { font-size: 13px; color: var(--soft); text-align: center; }
svg { display: block; font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow: hidden; }
svg text { fill: var(--ink); } .label { font-weight: 600; paint-order: stroke; stroke: var(--card); stroke-width: 5px; stroke-linejoin: round; } .tick { fill: var(--soft); text-anchor: middle; font-variant-numeric: tabular-nums; }
.grid { stroke: var(--grid); } .fault { stroke: var(--bad); stroke-width: 2; } .release { stroke: var(--good); stroke-width: 2; }
.served rect { fill: var(--served); } svg .served text { fill: var(--servedink); }
.unserved rect, .nobody rect { fill: var(--bad); } svg .unserved text, svg .nobody text, svg .held text, svg .Master text { fill: var(--on); font-weight: 600; }
.held.node-a rect, .Master.node-a rect { fill: var(--a); } .held.node-b rect, .Master.node-b rect { fill: var(--b); } .held.node-c rect, .Master.node-c rect { fill: var(--c); }
.held.node-d rect, .Master.node-d rect { fill: var(--d); } .held.node-e rect, .Master.node-e rect { fill: var(--e); }
.Backup rect { fill-opacity: .16; } .Backup.node-a rect { fill: var(--a); } .Backup.node-b rect { fill: var(--b); } .Backup.node-c rect { fill: var(--c); }
.Backup.node-d rect { fill: var(--d); } .Backup.node-e rect { fill: var(--e); } .broken rect { fill: var(--bad); fill-opacity: .30; }
.Fault rect { fill: var(--bad); fill-opacity: .22; } .Init rect { fill: var(--soft); fill-opacity: .2; }
.off rect { fill: none; stroke: var(--soft); stroke-dasharray: 4 4; } svg .off text { fill: var(--soft); }
.pulse { stroke-width: 1.5; } .pulse.node-a { stroke: var(--a); } .pulse.node-b { stroke: var(--b); } .pulse.node-c { stroke: var(--c); } .pulse.goodbye { stroke: var(--bad); }
.call { stroke: var(--card); stroke-width: 1.5; } .call.node-a { fill: var(--a); } .call.node-b { fill: var(--b); } .call.node-c { fill: var(--c); }
.call.node-d { fill: var(--d); } .call.node-e { fill: var(--e); } .call.person { fill: var(--soft); }
table { width: 100%; border-collapse: collapse; font-size: 15px; }
th { text-align: left; font-weight: 600; font-size: 13px; color: var(--soft); } th, td { padding: 7px 12px 7px 0; border-top: 1px solid var(--line); vertical-align: top; }
thead th { border-top: 0; } td:last-child { white-space: nowrap; font-weight: 600; text-align: right; padding-right: 0; }
details { margin-top: 16px; } summary { cursor: pointer; color: var(--soft); }
.events { list-style: none; margin: 10px 0 0; padding: 0; font-size: 14px; }
.events li { display: grid; grid-template-columns: 6.5em 1.4em 1fr; padding: 3px 0; } .events time { font-variant-numeric: tabular-nums; color: var(--soft); }
footer { color: var(--soft); font-size: 13px; } footer p { margin: 0 0 8px; }
@media (max-width: 560px) { main { padding: 24px 14px 40px; } section { padding: 18px 14px; } .cards { grid-template-columns: 1fr 1fr; }
  .card .big { font-size: 24px; } th:nth-child(2), td:nth-child(2) { font-size: 14px; } .events li { grid-template-columns: 5.4em 1.3em 1fr; } }
`
