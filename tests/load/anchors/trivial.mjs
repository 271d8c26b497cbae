// The smallest useful Node server: reads the body, answers eleven bytes.
import { createServer } from "node:http";

createServer((request, response) => {
  request.on("data", () => {});
  request.on("end", () => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end('{"seq":123}');
  });
}).listen(Number(process.argv[2]), "127.0.0.1");
