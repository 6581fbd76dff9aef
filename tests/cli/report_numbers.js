/* What the explorer of a report computes, without a page: reads {"rows": [...], "settings": [...]}
 * on standard input and prints a list of results per row. */
"use strict";

const explorer = require(process.argv[2]);
const input = JSON.parse(require("fs").readFileSync(0, "utf8"));
const results = input.rows.map((row) => input.settings.map((settings) => {
  explorer.openRow(row);
  const result = explorer.run(row, settings);
  const tokens = [];
  row.tokens.forEach(([token], place) => {
    if (explorer.isAlive(row, result, place))
      tokens.push([token, explorer.probability(row, result, place)]);
  });
  return {
    survivors: result.survivors, entropy: result.entropy, tokens,
    isApproximate: result.alive.isApproximate,
    target: row.target === null || row.target_d === null ? null
      : explorer.probability(row, result, row.target_place),
  };
}));
process.stdout.write(JSON.stringify(results));
