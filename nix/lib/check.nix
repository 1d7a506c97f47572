# check function fields arguments → the arguments, without those that are null.
#
# A field is { form, accepts, … }: what its value looks like in words, and whether a value does; or { refuse, unless }: what
# is to be used instead, and values that ask for nothing. An unknown name or another value ends the evaluation, with the
# nearest name or the form.
let
  nearest = import ./nearest.nix;

  shown =
    value:
    if builtins.isString value then
      "the string \"${builtins.unsafeDiscardStringContext value}\""
    else if builtins.isInt value || builtins.isFloat value then
      "the number ${toString value}"
    else if builtins.isBool value then
      (if value then "true" else "false")
    else if builtins.isPath value then
      "the path ${toString value}"
    else if builtins.isList value then
      "a list${brokenElement value}"
    else if builtins.isFunction value then
      "a function"
    else if value.type or null == "derivation" then
      "a derivation"
    else
      "an attribute set";
  # A short list of plain values is shown whole.
  brokenElement =
    list:
    let
      isPlain = value: builtins.isString value || builtins.isInt value || builtins.isBool value;
    in
    if list != [ ] && builtins.length list <= 4 && builtins.all isPlain list then
      " of ${builtins.concatStringsSep ", " (map shown list)}"
    else
      "";
in
function: fields: arguments:
let
  names = builtins.attrNames fields;
  said = builtins.removeAttrs arguments (
    builtins.filter (name: arguments.${name} == null) (builtins.attrNames arguments)
  );

  unknown =
    name:
    let
      synonym = builtins.filter (field: builtins.elem name (fields.${field}.synonyms or [ ])) names;
      meant = if synonym != [ ] then builtins.head synonym else nearest name names;
    in
    throw "${function}: unknown argument '${name}'\nhint: ${
      if meant != null then
        "did you mean '${meant}'?"
      else
        "known arguments: ${builtins.concatStringsSep ", " names}"
    }";

  checked =
    name: value:
    let
      field = fields.${name} or (unknown name);
    in
    if field ? refuse then
      if builtins.elem value (field.unless or [ ]) then
        value
      else
        throw "${function}: '${name}' is not supported\nhint: ${field.refuse}"
    else if !field.accepts value then
      throw "${function}: '${name}' is ${shown value}: expected ${field.form}${
        if field ? hint then "\nhint: ${field.hint}" else ""
      }"
    else
      value;

  # The values stay as they are: only whether they may be used depends on the checks.
  all = builtins.mapAttrs checked said;
in
if !builtins.isAttrs arguments then
  throw "${function}: the argument is ${shown arguments}: expected an attribute set such as { name = \"app\"; contents = [ app ]; }"
else
  builtins.foldl' (result: name: builtins.seq all.${name} result) said (builtins.attrNames said)
