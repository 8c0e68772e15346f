/** Colours hold at least 4.5:1 on their background, in light and dark; charts use marks and words besides. */
export const STYLE = `
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#d0d7de;--soft:#f3f5f7;--ok:#1a7f37;--bad:#b42318;--run:#0b5cad;--warn:#8a5a00;--c1:#0b5cad;--c2:#b42318;--c3:#1a7f37;--c4:#8a5a00;--c5:#7a3fb0;--c6:#00737a;--c7:#a3317d;--c8:#57606a}
@media (prefers-color-scheme:dark){:root{--bg:#0f1419;--fg:#e6e9ec;--dim:#a4adb8;--line:#39424d;--soft:#1a2027;--ok:#57c46f;--bad:#ff8a80;--run:#6cb2ff;--warn:#e0af4a;--c1:#6cb2ff;--c2:#ff8a80;--c3:#57c46f;--c4:#e0af4a;--c5:#c39bf0;--c6:#52c7ce;--c7:#f08fcd;--c8:#a4adb8}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1rem;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:.2rem 0;overflow-wrap:anywhere}h2{font-size:1.2rem;margin:2.2rem 0 .4rem;border-bottom:1px solid var(--line)}h3{font-size:1rem;margin:1.2rem 0 .3rem}
p{margin:.4rem 0;max-width:60rem;overflow-wrap:anywhere}.dim,caption{color:var(--dim)}
nav{display:flex;flex-wrap:wrap;gap:0 1rem}a{color:var(--run)}
.facts{display:flex;flex-wrap:wrap;gap:.6rem;margin:.8rem 0;padding:0;list-style:none}
.facts li{background:var(--soft);border:1px solid var(--line);border-radius:.4rem;padding:.4rem .8rem}.facts b{display:block;font-size:1.15rem}
.wide{overflow:auto;max-height:36rem;border:1px solid var(--line);border-radius:.4rem;margin:.4rem 0}
table{border-collapse:collapse;width:100%;font-size:.87rem}caption{text-align:left;padding:.3rem .6rem}
th,td{text-align:left;padding:.25rem .6rem;border-top:1px solid var(--line);vertical-align:top;max-width:26rem;overflow-wrap:anywhere}
thead th{position:sticky;top:0;background:var(--soft);white-space:nowrap;border-top:0}
th.n,td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
th button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer;font-weight:600}
tbody tr:nth-child(even){background:var(--soft)}
svg{display:block;width:100%;height:auto}
svg text{fill:var(--fg);font:11px system-ui,sans-serif}svg .dim{fill:var(--dim)}
.grid{stroke:var(--line);fill:none}.edge{stroke:var(--dim);fill:none}
.completed{fill:var(--ok)}.failed{fill:var(--bad)}.running,.starting{fill:var(--run)}.cancelled,.interrupted{fill:var(--warn)}.queued,.wait{fill:var(--line)}
.model{fill:var(--c1)}.compute{fill:var(--c3)}.gpus{fill:none;stroke:var(--c5);stroke-width:1.5}
.s0{stroke:var(--c1);fill:var(--c1)}.s1{stroke:var(--c2);fill:var(--c2)}.s2{stroke:var(--c3);fill:var(--c3)}.s3{stroke:var(--c4);fill:var(--c4)}.s4{stroke:var(--c5);fill:var(--c5)}.s5{stroke:var(--c6);fill:var(--c6)}.s6{stroke:var(--c7);fill:var(--c7)}.s7{stroke:var(--c8);fill:var(--c8)}
svg .line,svg .hollow{fill:none;stroke-width:1.5}
.t-completed,.v-better{color:var(--ok)}.t-failed,.v-worse{color:var(--bad)}.t-running,.t-starting{color:var(--run)}.t-cancelled,.t-interrupted{color:var(--warn)}
.warn{border-left:3px solid var(--warn);padding-left:.6rem}
details{margin:.3rem 0}summary{cursor:pointer;overflow-wrap:anywhere}
pre{background:var(--soft);border:1px solid var(--line);border-radius:.4rem;padding:.5rem;margin:.3rem 0;white-space:pre-wrap;overflow-wrap:anywhere;max-height:28rem;overflow-y:auto;font:.82rem/1.45 ui-monospace,monospace}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .9rem;margin:.4rem 0;font-size:.9rem}dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
input[type=search]{font:inherit;padding:.25rem .5rem;width:min(24rem,100%);background:var(--bg);color:var(--fg);border:1px solid var(--dim);border-radius:.3rem}
[hidden]{display:none!important}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;padding:0;margin:.3rem 0;list-style:none;font-size:.85rem}.legend li{min-width:0;overflow-wrap:anywhere}.legend svg{display:inline-block;width:12px;height:12px;vertical-align:-1px;margin-right:.3rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(26rem,100%),1fr));gap:1rem}
figure{margin:.5rem 0}figcaption{color:var(--dim);font-size:.85rem;overflow-wrap:anywhere}
@media (max-width:40rem){dl{grid-template-columns:1fr}body{padding:.6rem}figure>svg{min-width:34rem}figure{overflow-x:auto}}
@media print{body{max-width:none;font-size:11px}nav,input{display:none}.wide,pre{max-height:none;overflow:visible}h2{break-after:avoid}tr,figure{break-inside:avoid}}
`.trim();
