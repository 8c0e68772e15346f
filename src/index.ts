type Server = typeof import("./hosts/opencode-1/server.ts").server;

// The adapter is loaded when the host first asks for it: importing the package costs nothing.
const server: Server = async (...args) => (await import("./hosts/opencode-1/server.ts")).server(...args);

export default { id: "parallel-agents", server };
