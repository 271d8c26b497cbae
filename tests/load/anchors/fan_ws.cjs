// Node and ws, broadcasting as its manual shows: /sub?c=NAME listens, what /pub?c=NAME sends goes to all of them.
const { WebSocketServer, WebSocket } = require("ws");

const channels = new Map();
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
server.on("connection", (socket, request) => {
  const url = new URL(request.url, "http://127.0.0.1");
  const name = url.searchParams.get("c");
  const members = channels.get(name) ?? channels.set(name, new Set()).get(name);
  if (url.pathname === "/sub") {
    members.add(socket);
    socket.on("close", () => members.delete(socket));
  } else {
    socket.on("message", (text) => {
      for (const member of members)
        if (member.readyState === WebSocket.OPEN) member.send(text, { binary: false });
    });
  }
});
