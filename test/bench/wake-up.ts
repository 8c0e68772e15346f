import type { ModelRequest } from "../support/model-server.ts";
import { call, say, script } from "../support/scripted.ts";
import { startSetup } from "../support/test-setup.ts";
import { alternate, report } from "./stats.ts";

const WORK_MS = 300;

/** Times how long a child's answer takes to appear in a model request of its parent. */
export async function benchWakeUp(rounds: number): Promise<void> {
  const setup = await startSetup({ parkAfterSeconds: 60 }, { snapshot: true }); // OpenCode's default for users
  const { server, model } = setup;
  const child = script({ text: "the child's answer", delayMs: WORK_MS });
  const measure = async (...steps: Parameters<typeof script>) => {
    const from = model.requests.length;
    const session = await server.createSession();
    await server.prompt(session.id, script(...steps, say("ok")));
    const requests = model.requests.slice(from);
    const asked = requests.findLast(
      (request) => !request.tools.includes("agents_wait") && !mentions(request, "the child's answer", "tool"),
    );
    const answered = requests.find((request) => mentions(request, "the child's answer", "tool"));
    if (!asked || !answered) throw new Error("the child or its parent got no model request");
    return answered.at - asked.at - WORK_MS;
  };
  const ours = () =>
    measure(call("agents_start", { tasks: [{ description: "child", prompt: child }] }), call("agents_wait", {}));
  // The parent makes as many requests as in ours, so that they cost the same.
  const builtIn = () =>
    measure(call("agents_status", {}), call("task", { description: "child", prompt: child, subagent_type: "explore" }));
  await ours();
  await builtIn();
  const [mine, theirs] = await alternate(rounds, ours, builtIn);
  report(
    "From a child's answer to its parent's next request",
    { name: "agents_wait", samples: mine },
    { name: "the built-in task tool", samples: theirs },
  );
  await setup.stop();
}

const mentions = (request: ModelRequest, text: string, role: string): boolean =>
  request.messages.some((message) => message.role === role && message.content.includes(text));
