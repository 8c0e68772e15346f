import { dirname } from "node:path";
import type { Catalog } from "../jobs/ports.ts";
import { type HostClient, unwrap } from "./host-client.ts";

/** Agents, models and skills that tasks may name, as the host knows them now. */
export async function readCatalog(client: HostClient): Promise<Catalog> {
  const [agents, providers, skills] = await Promise.all([
    unwrap(client.app.agents(), "session_create_failed", "list the agents"),
    unwrap(client.config.providers(), "session_create_failed", "list the models"),
    unwrap(client.app.skills(), "session_create_failed", "list the skills"),
  ]);
  return {
    agents: agents.map(({ name, model, prompt, native }) => ({
      name,
      model: model ? `${model.providerID}/${model.modelID}` : null,
      prompt: native ? null : (prompt ?? null),
    })),
    models: new Set(
      providers.providers.flatMap(({ id, models }) => Object.keys(models).map((name) => `${id}/${name}`)),
    ),
    skills: skills.map(({ name, content, location }) => ({ name, content, folder: dirname(location) })),
  };
}
