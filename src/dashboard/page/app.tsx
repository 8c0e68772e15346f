import { Confirm } from "./parts/actions.tsx";
import { Cost } from "./parts/cost.tsx";
import { Curves } from "./parts/curves.tsx";
import { Detail } from "./parts/detail.tsx";
import { Ledger } from "./parts/ledger.tsx";
import { LineageTree } from "./parts/lineage.tsx";
import { Needs } from "./parts/needs.tsx";
import { Pool } from "./parts/pool.tsx";
import { Spend } from "./parts/spend.tsx";
import { Timeline } from "./parts/timeline.tsx";
import { selected } from "./selection.ts";
import { fields, jobs, trouble, wanted } from "./store.ts";

export function App() {
  return (
    <>
      <header class="top">
        <h1>Parallel agents</h1>
        <Sessions />
        <Connection />
      </header>
      <div class={selected.value === null || !jobs.value.has(selected.value) ? "page" : "page beside"}>
        <main>
          <Needs />
          <Timeline />
          <div class="pair">
            <Pool />
            <Spend />
          </div>
          <Ledger />
          <div class="pair">
            <Curves />
            <Cost />
          </div>
          <LineageTree />
        </main>
        <Detail />
      </div>
      <Confirm />
    </>
  );
}

function Connection() {
  const { session, sessions, isLive } = fields.value;
  const text =
    trouble.value ??
    (session === null
      ? sessions.length === 0
        ? "No session has had jobs yet; the first one appears here."
        : "This session has no jobs, or its file is gone. Choose another."
      : isLive
        ? "Live"
        : "Read only: no OpenCode process has this session in use");
  return (
    <p role="status" class={trouble.value === null ? "" : "refused"}>
      {text}
    </p>
  );
}

function Sessions() {
  const { session, sessions } = fields.value;
  if (session === null && sessions.length === 0) return null;
  const known = sessions.some(({ id }) => id === session);
  return (
    <select
      aria-label="Session"
      value={session ?? ""}
      onChange={(event) => {
        selected.value = null;
        wanted.value = event.currentTarget.value;
      }}
    >
      {!known && <option value={session ?? ""}>{session ?? "Choose a session"}</option>}
      {sessions.map(({ id, changedAt }) => (
        <option key={id} value={id}>{`${id}, ${new Date(changedAt).toLocaleString()}`}</option>
      ))}
    </select>
  );
}
