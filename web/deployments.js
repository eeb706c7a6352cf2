// What is on its way, step by step.
import { call, get } from "./api.js";
import { action, announce, card, confirm, facts, h, table, when } from "./dom.js";

const verbs = { StartApplication: "starts", StopApplication: "stops", ScaleApplication: "scales", RestartApplication: "replaces the tasks of" };

export async function deployments() {
  const list = await get("/v2/deployments");
  return [
    h("h1", null, "Deployments"),
    list.length === 0 && card(null, h("p", { class: "empty" }, "Nothing is on its way. What is deployed or changed is shown here until it is done.")),
    list.map(one),
  ];
}

function one(deployment) {
  const problem = h("div", { "aria-live": "polite" });
  const cancel = async () => {
    if (!await confirm("Cancel this deployment?", "Its applications go back to what they were before, by another deployment.", "Roll back")) return;
    await call("DELETE", `/v2/deployments/${deployment.id}`);
    announce("The deployment is rolled back");
  };
  const keep = async () => {
    if (!await confirm("Stop waiting for this deployment?", "Its applications stay as they are wanted now, and can be changed again.", "Stop waiting")) return;
    await call("DELETE", `/v2/deployments/${deployment.id}?force=true`);
  };
  return card(deployment.affectedApps.join(", "),
    facts([
      ["Began", when(Date.parse(deployment.version))],
      ["Step", `${deployment.currentStep} of ${deployment.totalSteps}`],
      ["Id", h("code", null, deployment.id)],
    ]),
    h("progress", { max: Math.max(1, deployment.totalSteps), value: Math.max(0, deployment.currentStep - 1), "aria-label": "Steps that are done" }),
    table("Steps", ["Step", "Does"], deployment.steps.map((step, at) => [at + 1, step.actions.map((what) =>
      h("div", null, `${verbs[what.action] ?? what.action} `, h("a", { href: `#/apps${what.app}` }, what.app)))]), ""),
    h("div", { class: "actions" }, action("Roll back", problem, cancel), action("Stop waiting", problem, keep)), problem);
}
