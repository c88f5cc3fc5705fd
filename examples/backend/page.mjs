// The page: which analyses there are and what became of them, and a form to add one that has failed.
const escape = (text) => String(text ?? "").replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

export function page(analyses, points, notifications) {
  const rows = analyses.map(
    ({ jobId, videoUrl, status, recipe, metadata, error }) => `<tr class="${escape(status)}">
      <td>${escape(jobId)}</td><td>${escape(videoUrl)}</td><td>${escape(status)}</td>
      <td>${escape(recipe?.name ?? error)}</td><td>${escape(metadata?.gemini_tokens?.total)}</td></tr>`,
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="3">
<title>Example backend</title>
<style>
  body { font: 16px/1.5 system-ui; margin: 2rem; } table { border-collapse: collapse; }
  td, th { padding: .2rem .8rem; text-align: left; border-bottom: 1px solid #ddd; }
  .failed td { background: #fee; } .completed td { background: #efe; }
</style>
<h1>Analyses</h1>
<table><tr><th>id<th>video<th>status<th>recipe or error<th>tokens</tr>${rows.join("")}</table>
<form method="post" action="/v1/analysis">
  <p><input type="hidden" name="status" value="failed"><input name="videoUrl" size="60" placeholder="https://...">
  <button>Add one that has failed online</button></p>
</form>
<h2>Points</h2><p>${Object.entries(points).map(([user, n]) => `${escape(user)}: ${escape(n)}`).join(", ")}</p>
<h2>Notifications</h2><ul>${notifications.map(({ to, text }) => `<li>${escape(to)}: ${escape(text)}</li>`).join("")}</ul>
</html>`;
}
