"""`atlas serve`: look at a site while its sources are being edited."""

from __future__ import annotations

from pathlib import Path

import click

from generator.commands import jobs_option, spec_argument


@click.command()
@spec_argument
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port; 0 takes a free one.")
@click.option("--open", "browse", is_flag=True, help="Open it in a browser.")
@jobs_option
def serve(spec: str, port: int, browse: bool, jobs: int | None) -> None:
    """Build the site of SPEC, serve it to this machine, follow changes.

    It is served as it will be published: under the path of site_url, with its 404 page. Whatever changes of the spec, families,
    notes, templates, static files or checkpoints, the site is built anew and open pages load it; models are worked out
    again only where they changed. Ctrl-C ends it.

    \b
    Example:
      atlas serve examples/squeezenet.yaml --port 8001
    """
    from threading import Event

    from generator.progress import Progress
    from generator.publishing.live import Live, run
    from generator.publishing.serve import SiteServer
    from generator.spec import load_spec
    from generator.workers import workers_of

    loaded = load_spec(spec)
    live = Live(Path(spec), loaded, Progress(), workers_of(jobs))
    with SiteServer(live.served(), port) as server:  # takes the port before the long part
        live.update()
        server.site = live.served()
        with server.running():
            click.echo(f"{server.address}  (Ctrl-C ends it)")
            if browse:
                click.launch(server.address)
            try:
                run(live, server, Event())
            except KeyboardInterrupt:
                click.echo("ended", err=True)
