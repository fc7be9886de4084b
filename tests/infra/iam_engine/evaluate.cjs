// Reads requests with their policies as JSON from stdin, and writes whether each is allowed as JSON to stdout.
const { runSimulation } = require("@cloud-copilot/iam-simulate");

async function evaluate({ principal, action, resource, account, context, policies, resourcePolicy }) {
  const result = await runSimulation({
    request: { principal, action, resource: { resource, accountId: account }, contextVariables: context },
    identityPolicies: policies,
    resourcePolicy: resourcePolicy ?? undefined,
    serviceControlPolicies: [],
    resourceControlPolicies: [],
  }, {});
  if (result.resultType === "error") {
    return { error: JSON.stringify(result.errors) };
  }
  const ignored = result.resultType === "single" ? result.result.ignoredContextKeys ?? [] : [];
  return { decision: result.overallResult, ignored };
}

let input = "";
process.stdin.on("data", (chunk) => { input += chunk; });
process.stdin.on("end", async () => {
  const results = [];
  for (const request of JSON.parse(input)) {
    results.push(await evaluate(request));
  }
  process.stdout.write(JSON.stringify(results));
});
