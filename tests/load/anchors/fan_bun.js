// Bun's WebSocket server with its own topics: /sub?c=NAME listens, what /pub?c=NAME sends is published.
Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),
  fetch(request, server) {
    const url = new URL(request.url);
    const data = { listens: url.pathname === "/sub", channel: url.searchParams.get("c") };
    if (!server.upgrade(request, { data })) return new Response("upgrade, please", { status: 426 });
  },
  websocket: {
    idleTimeout: 120, // it pings by itself
    open(socket) {
      if (socket.data.listens) socket.subscribe(socket.data.channel);
    },
    message(socket, text) {
      socket.publish(socket.data.channel, text);
    },
  },
});
