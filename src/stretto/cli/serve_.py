"""Open the page to talk to the robot: cameras, microphone, voice, a stop button, the score.

One port, on this machine only unless --host says otherwise; then a token is needed, which stands in the address that is
printed. A browser gives its microphone to pages of this machine or of https (--cert, --key).

examples:
  stretto serve                                           http://127.0.0.1:8080/
  stretto serve --task libero_goal:7 --agent cascade --port 9000
  stretto serve --host 0.0.0.0 --cert cert.pem --key key.pem
"""

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--port", type=int, default=8080, help="0: any that is free")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--task", default="libero_goal:8", metavar="SUITE:NUMBER")
    parser.add_argument("--agent", default="cascade", help="see `stretto list agent`")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=float, default=5.0, metavar="HZ", help="pictures a second of each camera")
    parser.add_argument("--no-reflex", action="store_true", help="only the agent listens for a stop")
    parser.add_argument("--token", default="", help="what clients must know (off loopback; made if not given)")
    parser.add_argument("--cert", default="", metavar="FILE", help="certificate, for https")
    parser.add_argument("--key", default="", metavar="FILE", help="its key")


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C. Raises StrettoError for names that do not exist, or an address that is taken."""
    from stretto.core import registry
    from stretto.core.errors import unknown
    from stretto.sessions.live import FOREVER_S, Live, world_config
    from stretto.web.hub import AGENTS
    from stretto.web.serve import Address, serve

    if options.agent not in AGENTS:
        raise unknown("agent that can be talked to", options.agent, AGENTS)
    live = Live(
        task=options.task,
        agent=options.agent,
        clock="wall",
        seed=options.seed,
        seconds=FOREVER_S,
        cameras_hz=options.pictures,
        reflex=not options.no_reflex,
    )
    world_config(live, bool(getattr(registry.load("agent", options.agent), "privileged", False)))
    address = Address(host=options.host, port=options.port, token=options.token, cert=options.cert, key=options.key)
    serve(live, address, ready=lambda url: print(f"Talk to the robot: {url}\nCtrl-C ends it.", flush=True))
    return 0
