// A handler of five durable steps, served on 127.0.0.1 at the port given.
import http2 from "node:http2";
import * as restate from "@restatedev/restate-sdk";

// Of Node.js 22; the kit uses it, Node.js 20 lacks it.
Promise.withResolvers ??= function () {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
};

const bench = restate.service({
  name: "bench",
  handlers: {
    run: async (context, text) => {
      let answer = "";
      for (let step = 0; step < 5; ++step) answer = await context.run(`step ${step}`, () => text);
      return answer;
    },
  },
});
http2.createServer(restate.createEndpointHandler({ services: [bench] })).listen(Number(process.argv[2]), "127.0.0.1");
