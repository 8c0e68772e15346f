import { dirname } from "node:path";
import type { Catalog } from "../../core/ports.ts";
import { type HostAgents, isInternal } from "./host-agents.ts";
import { type HostClient, unwrap } from "./host-client.ts";
import { forbiddenToJobsOf, notHeldInSandbox, rulesOnSubjects, type UserRules } from "./permission-rules.ts";
import { projectOfSkill, projectPlaces } from "./skill-origin.ts";

/**
 * Agents, models and skills that tasks may name, as OpenCode knows them now.
 * @param opened folders that are open in OpenCode, absolute
 */
export async function readCatalog(
  client: HostClient,
  hostAgents: HostAgents,
  opened: readonly string[],
  userRules: UserRules,
): Promise<Catalog> {
  const [{ places, homes }, agents, providers, skills] = await Promise.all([
    projectPlaces(opened),
    hostAgents(),
    unwrap(client.config.providers(), "session_create_failed", "list the models"),
    unwrap(client.app.skills(), "session_create_failed", "list the skills"),
  ]);
  return {
    agents: agents
      .filter((agent) => !isInternal(agent))
      .map(({ name, model, variant, prompt, native, permission }) => ({
        name,
        forbidden: forbiddenToJobsOf({ name, permission }, userRules),
        rules: rulesOnSubjects(name, userRules),
        unenforced: notHeldInSandbox(name, userRules),
        model: model ? `${model.providerID}/${model.modelID}` : null,
        variant: variant ?? null,
        prompt: native ? null : (prompt ?? null),
      })),
    models: new Map(
      providers.providers.flatMap(({ id, models }) =>
        Object.entries(models).map(([name, { variants = {}, capabilities }]) => [
          `${id}/${name}`,
          { variants: Object.keys(variants), seesImages: capabilities.input.image },
        ]),
      ),
    ),
    skills: skills.map(({ name, content, location }) => ({
      name,
      content,
      folder: dirname(location),
      project: projectOfSkill(location, places, homes, process.env),
    })),
  };
}
