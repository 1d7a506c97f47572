{
  lib,
  nodejs,
  stdenvNoCC,
}:
stdenvNoCC.mkDerivation {
  pname = "node-server";
  version = "1.0.0";

  src = ./server.js;
  dontUnpack = true;

  # Node is the interpreter of the script itself: no shell in the closure.
  buildInputs = [ nodejs ];

  installPhase = ''
    runHook preInstall
    install -D --mode=755 $src $out/bin/node-server
    runHook postInstall
  '';

  meta = {
    description = "Serves a page and its own state of health";
    license = lib.licenses.asl20;
    mainProgram = "node-server";
    platforms = lib.platforms.linux;
  };
}
