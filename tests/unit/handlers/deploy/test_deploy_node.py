"""A small real Node project, built by npm, from a git server that speaks smart HTTP, through the proxy."""

import shutil
from typing import Any

import pytest

from secondunit.queue.outcome import Deterministic

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")]

PACKAGE = '{"name": "site", "version": "1.0.0", "private": true, "scripts": {"build": "node build.js"}}'
BUILD = """
const fs = require("fs");
fs.mkdirSync("dist", {recursive: true});
const page = fs.readFileSync("page.txt", "utf8").trim();
if (page === "broken") { console.error("page.txt is broken"); process.exit(1); }
fs.writeFileSync("dist/index.html", `<h1>${page}</h1>`);
"""


async def test_a_node_project_is_deployed_updated_and_survives_a_broken_build(site: Any, git_server: Any) -> None:
    site.entry |= {
        "repo_url": git_server.url,
        "build_command": "npm run build",
        "health_command": ["test", "-s", "dist/index.html"],
    }
    body = {
        "repoUrl": git_server.url,
        "branch": "main",
        "directory": str(site.home),
        "buildCommand": "npm run build",
    }
    site.repository.commit({"package.json": PACKAGE, "build.js": BUILD, "page.txt": "first"})
    await site.deploy(**body)
    assert site.serves("dist/index.html") == "<h1>first</h1>"

    commit = site.repository.commit({"page.txt": "second"})
    result = await site.deploy(**body)
    assert result["commit"] == commit and result["rolledBack"] is False
    assert site.serves("dist/index.html") == "<h1>second</h1>"

    site.repository.commit({"page.txt": "broken"})
    ctx = await site.context()
    with pytest.raises(Deterministic, match=r"page\.txt is broken") as error:
        await site.deploy(ctx, **body)
    assert error.value.type == "build_failed"
    assert site.serves("dist/index.html") == "<h1>second</h1>"
    assert "node build.js" in ctx.workspace.log.read_text()
