# nearest word candidates → the candidate that was probably meant, or null.
#
# Distance: optimal string alignment, as crates/floe/src/suggestion.rs has it.
let
  letters =
    word:
    let
      small = builtins.replaceStrings (alphabet "ABCDEFGHIJKLMNOPQRSTUVWXYZ" ++ [ "_" ]) (alphabet "abcdefghijklmnopqrstuvwxyz" ++ [ "-" ]) word;
    in
    alphabet small;
  alphabet =
    text: builtins.genList (index: builtins.substring index 1 text) (builtins.stringLength text);
  minimum = builtins.foldl' (least: value: if value < least then value else least);

  distance =
    left: right:
    let
      width = builtins.length right;
      at = builtins.elemAt;
      first = builtins.genList (column: column) (width + 1);
      # rows: the row before, and the one before that where there is one.
      step =
        { row, before }:
        i:
        let
          a = at left i;
          cells = builtins.foldl' (
            next: j:
            let
              b = at right j;
              changed = at row j + (if a == b then 0 else 1);
              swapped =
                if i > 0 && j > 0 && a == at right (j - 1) && at left (i - 1) == b then
                  [ (at before (j - 1) + 1) ]
                else
                  [ ];
            in
            next ++ [ (minimum changed ([ (at row (j + 1) + 1) (at next j + 1) ] ++ swapped)) ]
          ) [ (i + 1) ] (builtins.genList (column: column) width);
        in
        {
          row = cells;
          before = row;
        };
      last = builtins.foldl' step {
        row = first;
        before = first;
      } (builtins.genList (index: index) (builtins.length left));
    in
    at last.row width;
in
word: candidates:
let
  written = letters word;
  judged = map (candidate: {
    inherit candidate;
    distance = distance written (letters candidate);
    limit =
      let
        third = (minimum (builtins.stringLength word) [ (builtins.stringLength candidate) ]) / 3;
      in
      if third < 1 then 1 else third;
  }) candidates;
  near = builtins.filter (judged: judged.distance <= judged.limit) judged;
  best = builtins.foldl' (best: next: if best == null || next.distance < best.distance then next else best) null near;
in
if best == null then null else best.candidate
