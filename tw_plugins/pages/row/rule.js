
// The ancestor mask from position ids alone: a 0 begins a trajectory, any other jump begins a branch. Returns for
// each row offset where its trajectory and where its segment begin.
function segmentsOf(positions) {
  const roots = new Int32Array(positions.length), owns = new Int32Array(positions.length);
  for (let at = 0, root = 0, own = 0; at < positions.length; at++) {
    if (positions[at] === 0) root = own = at;
    else if (at === 0 || positions[at] !== positions[at - 1] + 1) own = at;
    roots[at] = root;
    owns[at] = own;
  }
  return { roots, owns };
}

// Half-open intervals of row offsets that the token at `offset` attends to: main path below the fork, own segment.
function seenBy(positions, { roots, owns }, offset) {
  const root = roots[offset], own = owns[offset];
  return [[root, Math.min(root + positions[own], own)], [own, offset + 1]];
}
