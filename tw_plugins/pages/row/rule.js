// The ancestor mask from position ids alone: a 0 begins a trajectory, any other jump begins a branch, which continues
// the latest segment before it that holds the position before its own. Returns per row offset its segment: where it
// begins, and half-open intervals of row offsets, from the root on, that all of it attends to beyond itself.
function segmentsOf(positions) {
  const found = [], path = []; // what the next segment may continue: [position, start, stop]
  for (let at = 0, own; at < positions.length; at++) {
    if (at === 0 || positions[at] === 0 || positions[at] !== positions[at - 1] + 1) {
      while (path.length && path.at(-1)[0] >= positions[at]) path.pop();
      if (path.length) path.at(-1)[2] = path.at(-1)[1] + positions[at] - path.at(-1)[0];
      own = { start: at, above: path.map(([, start, stop]) => [start, stop]) };
      path.push([positions[at], at, at]);
    }
    path.at(-1)[2] = at + 1;
    found.push(own);
  }
  return found;
}

// Half-open intervals of row offsets that the token at `offset` attends to, its own segment last.
function seenBy(segments, offset) {
  const { start, above } = segments[offset];
  return [...above, [start, offset + 1]];
}
