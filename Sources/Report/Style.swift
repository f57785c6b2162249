extension Page {
  /// The one style of all pages. Colours of series are those of Okabe and Ito, which colour-blind readers tell apart.
  static let style: HTML = """
    :root { --paper: #ffffff; --ink: #1d2329; --soft: #5c6773; --line: #d9dee3; --tint: #f4f6f8;
      --good: #00704f; --note: #1f5fa8; --warning: #9a5b00; --error: #b3261e;
      --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #cc79a7; --c4: #8f7a00; --c5: #3a9bd1; --c6: #6b7280; }
    @media (prefers-color-scheme: dark) { :root { --paper: #15191d; --ink: #e4e8ec; --soft: #9aa5b1; --line: #343c44;
      --tint: #1e2429; --good: #4cc38a; --note: #7ab8f5; --warning: #f0b34a; --error: #ff8a80;
      --c0: #56b4e9; --c1: #f08a4b; --c2: #33c499; --c3: #e0a0c4; --c4: #d9c64a; --c5: #8cc8ee; --c6: #a0a8b2; } }
    * { box-sizing: border-box; }
    body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 76rem; background: var(--paper); color: var(--ink);
      font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
    h1 { font-size: 1.7rem; line-height: 1.2; margin: 0; font-weight: 650; }
    h2 { font-size: 1.2rem; margin: 2.6rem 0 .4rem; font-weight: 650; }
    h3 { font-size: .85rem; margin: .5rem 0 .2rem; font-weight: 600; overflow-wrap: anywhere; }
    .subtitle { color: var(--soft); margin: .2rem 0 0; overflow-wrap: anywhere; }
    p.note { color: var(--soft); margin: 0 0 .9rem; max-width: 62rem; }
    .verdict { border-left: .35rem solid var(--soft); background: var(--tint); padding: .8rem 1.1rem; margin: 1.2rem 0 .8rem;
      border-radius: .25rem; }
    .verdict .headline { font-size: 1.12rem; font-weight: 600; margin: 0; }
    .verdict ul { margin: .4rem 0 0; padding-left: 1.2rem; }
    .verdict.good { border-color: var(--good); } .verdict.note { border-color: var(--note); }
    .verdict.warning { border-color: var(--warning); } .verdict.error { border-color: var(--error); }
    .verdict.good .headline { color: var(--good); } .verdict.warning .headline { color: var(--warning); }
    .verdict.error .headline { color: var(--error); }
    .figures { display: flex; flex-wrap: wrap; gap: .6rem; margin: .8rem 0; }
    .figures div { background: var(--tint); border-radius: .25rem; padding: .5rem .9rem; min-width: 7.5rem; }
    .figures dt { color: var(--soft); font-size: .8rem; } .figures dd { margin: 0; font-size: 1.2rem; font-weight: 600;
      font-variant-numeric: tabular-nums; }
    nav { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; border-bottom: 1px solid var(--line); padding: .3rem 0 .6rem;
      font-size: .9rem; }
    a { color: var(--note); text-decoration: none; } a:hover { text-decoration: underline; }
    .scroll { overflow-x: auto; margin: .4rem 0 .8rem; }
    table { border-collapse: collapse; min-width: 50%; font-size: .88rem; }
    caption { text-align: left; font-weight: 600; padding: .3rem 0; }
    th, td { text-align: left; vertical-align: top; padding: .32rem .9rem .32rem 0; border-bottom: 1px solid var(--line);
      overflow-wrap: break-word; max-width: 34rem; }
    th { color: var(--soft); font-weight: 600; white-space: nowrap; }
    .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
    .badge { font-size: .78rem; font-weight: 600; border: 1px solid currentColor; border-radius: 1rem; padding: .02rem .55rem;
      white-space: nowrap; }
    .badge.good { color: var(--good); } .badge.note { color: var(--note); } .badge.warning { color: var(--warning); }
    .badge.error { color: var(--error); }
    pre, code, .place { font: .85rem/1.45 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
    pre { background: var(--tint); padding: .7rem .9rem; border-radius: .25rem; overflow-x: auto; white-space: pre-wrap; }
    details { margin: .4rem 0; } summary { cursor: pointer; color: var(--note); font-size: .9rem; }
    .columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: .4rem 2rem; }
    .gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; margin: .8rem 0; }
    .gallery article { border: 1px solid var(--line); border-radius: .35rem; padding: .7rem; break-inside: avoid;
      min-width: 0; overflow: hidden; }
    .pictures { display: flex; flex-wrap: wrap; gap: .3rem; }
    img { border-radius: .2rem; background: var(--tint); max-width: 100%; object-fit: contain; }
    .gallery p { margin: .3rem 0; font-size: .88rem; }
    .transcript { margin: .4rem 0; font-size: .86rem; display: grid; grid-template-columns: max-content 1fr; gap: .1rem .6rem; }
    .transcript dt { color: var(--soft); font-size: .78rem; } .transcript dd { margin: 0; white-space: pre-wrap;
      overflow-wrap: anywhere; min-width: 0; }
    .marked { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .84rem; margin: .3rem 0; color: var(--soft); }
    .marked .trained { color: var(--good); font-weight: 600; } .marked .picture { color: var(--note); }
    .marked .weight { color: var(--warning); font-variant-numeric: tabular-nums; }
    figure { margin: .4rem 0 1rem; break-inside: avoid; } figcaption { font-weight: 600; font-size: .9rem; }
    figcaption span { display: none; color: var(--soft); font-weight: 400; }
    svg { display: block; overflow: visible; width: 100%; height: auto; max-width: 44rem; }
    svg text { fill: var(--soft); font: 12.5px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
    svg .label { fill: var(--ink); } svg .grid { stroke: var(--line); stroke-width: 1; } svg .axis { stroke: var(--soft); }
    svg .mark { stroke: var(--error); stroke-width: 1.5; stroke-dasharray: 4 3; fill: none; }
    svg .series { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
    .legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; font-size: .84rem; } .legend i { display: inline-block;
      width: .8rem; height: .8rem; border-radius: .15rem; margin-right: .35rem; vertical-align: -.08rem; }
    @media (max-width: 45rem) { body { padding: 1.2rem 1rem 3rem; } .plot svg text { font-size: 19px; }
      .plot svg .up { display: none; } figcaption span { display: inline; }
      figure.rows { overflow-x: auto; } .rows svg { min-width: 33rem; } .rows figcaption { position: sticky; left: 0; }
      .figures div { min-width: 0; } .transcript { grid-template-columns: 1fr; } .transcript dt { margin-top: .3rem; } }
    @media print { body { max-width: none; padding: 0; font-size: 11px; } nav { display: none; } a { color: inherit; }
      section { break-inside: auto; } h2 { break-after: avoid; } tr { break-inside: avoid; } }

    """

  /// The colour of a series by number.
  static func colour(_ series: Int) -> HTML { "var(--c\(series % 7))" }
}
