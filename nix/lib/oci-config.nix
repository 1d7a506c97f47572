# fromConfig function config → the keys of floe.toml that say the same as OCI's config.
#
# OCI image-spec v1.1, config.md; `Healthcheck` is Docker's.
let
  check = import ./check.nix;
  keys = import ./fields.nix;

  isEmptySet = value: builtins.isAttrs value && value == { };
  set = {
    form = "an attribute set from names to { }";
    accepts = value: builtins.isAttrs value && builtins.all isEmptySet (builtins.attrValues value);
  };
  variable =
    text:
    let
      parts = builtins.match "([^=]+)=(.*)" text;
    in
    {
      name = builtins.head parts;
      value = builtins.appendContext (builtins.elemAt parts 1) (builtins.getContext text);
    };
  isVariable = value: builtins.isString value && builtins.match "[^=]+=.*" value != null;

  # Nanoseconds, as the config has them, are whole milliseconds in floe's durations.
  duration =
    value: if builtins.isInt value then "${toString (value / 1000000)}ms" else value;

  fields = {
    Entrypoint = keys.entrypoint // {
      become = value: { entrypoint = value; };
    };
    Cmd = keys.cmd // {
      become = value: { cmd = value; };
    };
    Env = {
      form = "a list of strings such as [ \"LANG=C.UTF-8\" ]";
      accepts = value: builtins.isList value && builtins.all isVariable value;
      become = value: { env = builtins.listToAttrs (map variable value); };
    };
    User = {
      form = "numbers such as \"1000:1000\", or \"root\"";
      accepts = value: builtins.isString value && builtins.match "root|[0-9]+(:[0-9]+)?" value != null;
      hint = "floe writes the image's passwd entry for the number, so no name is needed";
      become = value: { user = value; };
    };
    WorkingDir = keys.workdir // {
      become = value: { workdir = value; };
    };
    ExposedPorts = set // {
      become = value: { ports = builtins.attrNames value; };
    };
    Volumes = set // {
      become = value: { volumes = builtins.attrNames value; };
    };
    Labels = keys.labels // {
      become = value: { labels = value; };
    };
    StopSignal = keys.stop-signal // {
      become = value: { stop-signal = value; };
    };
    Healthcheck = {
      form = "an attribute set such as { Test = [ \"CMD\" \"/bin/app\" ]; }";
      accepts = value: builtins.isAttrs value && builtins.isList (value.Test or null);
      become =
        value:
        let
          kind = builtins.head value.Test;
          rest = builtins.tail value.Test;
          settings = {
            test =
              if kind == "CMD" then
                rest
              else if kind == "CMD-SHELL" then
                builtins.head rest
              else
                value.Test;
          }
          // (if value ? Interval then { interval = duration value.Interval; } else { })
          // (if value ? Timeout then { timeout = duration value.Timeout; } else { })
          // (if value ? StartPeriod then { start-period = duration value.StartPeriod; } else { })
          // (if value ? Retries then { retries = value.Retries; } else { });
        in
        {
          healthcheck = settings;
        };
    };
    Shell.refuse = "it serves Dockerfiles alone; name the shell in Entrypoint or Cmd";
    OnBuild.refuse = "it serves Dockerfiles alone";
    ArgsEscaped.refuse = "it serves Windows alone";
    Domainname.refuse = "engines give a container its name: podman run --hostname";
    Hostname.refuse = "engines give a container its name: podman run --hostname";
    MacAddress.refuse = "engines give a container its address: podman run --mac-address";
    Memory.refuse = "engines limit memory: podman run --memory";
    MemorySwap.refuse = "engines limit memory: podman run --memory-swap";
    CpuShares.refuse = "engines share processors: podman run --cpu-shares";
  };
in
function: config:
let
  # Docker and the tools made of its code read the names in any case.
  small = builtins.replaceStrings capitals smalls;
  capitals = letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  smalls = letters "abcdefghijklmnopqrstuvwxyz";
  letters =
    text: builtins.genList (index: builtins.substring index 1 text) (builtins.stringLength text);
  canonical =
    name:
    let
      same = builtins.filter (field: small field == small name) (builtins.attrNames fields);
    in
    if same == [ ] then name else builtins.head same;
  named = builtins.listToAttrs (
    map (name: {
      name = canonical name;
      value = config.${name};
    }) (builtins.attrNames config)
  );
  checked = check "${function}: config" fields named;
in
builtins.foldl' (keys: name: keys // fields.${name}.become checked.${name}) { } (builtins.attrNames checked)
