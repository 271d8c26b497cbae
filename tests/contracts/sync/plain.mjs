// The plain client of broadcast channels, as existing applications have it: every habit and every fault that a server
// can meet. It sends no token, no header, no ping and no first message, dispatches on `channel` alone, and returns
// after any close without a pause of chance.

export class BroadcastClient {
  state = 'disconnected';
  #url; #most; #delay;
  #socket = null; #timer = null; #tries = 0;
  #handlers = new Map();
  #listeners = new Set();
  #tabs;

  constructor(url, { maxReconnectAttempts = 10, reconnectDelay = 1000 } = {}) {
    this.#url = url; this.#most = maxReconnectAttempts; this.#delay = reconnectDelay;
    this.#tabs = globalThis.BroadcastChannel ? new BroadcastChannel('sync-patterns-broadcast') : null;
    if (this.#tabs) this.#tabs.onmessage = (event) => this.#dispatch(event.data);
  }

  connect() {
    if (this.#socket && this.#socket.readyState <= 1) return;
    this.#becomes('connecting');
    const socket = this.#socket = new WebSocket(this.#url);
    socket.onopen = () => {
      this.#tries = 0;
      this.#becomes('connected');
      if (this.#handlers.size) this.#socket.send(JSON.stringify({ subscribe: [...this.#handlers.keys()] }));
    };
    socket.onmessage = (event) => {
      try {
        this.#dispatch(JSON.parse(event.data));
      } catch {
        // what cannot be parsed is dropped; so are the handlers behind one that throws
      }
    };
    let over = false;
    socket.onclose = socket.onerror = () => {
      if (over) return;
      over = true;
      this.#socket = null; // whichever it is by now
      if (this.#tries >= this.#most) return this.#becomes('disconnected');
      this.#becomes('reconnecting');
      this.#timer = setTimeout(() => this.connect(), this.#delay * 2 ** this.#tries++);
    };
  }

  disconnect() {
    clearTimeout(this.#timer);
    this.#socket?.close(); // its close handler stays: it will come back by itself
    this.#tabs?.close();
    this.#becomes('disconnected');
  }

  subscribe(channel, handler) {
    if (!this.#handlers.has(channel)) {
      this.#handlers.set(channel, new Set());
      this.#say({ subscribe: [channel] });
    }
    this.#handlers.get(channel).add(handler);
    return () => {
      const handlers = this.#handlers.get(channel);
      handlers?.delete(handler);
      if (handlers?.size === 0) {
        this.#handlers.delete(channel);
        this.#say({ unsubscribe: [channel] });
      }
    };
  }

  onStateChange(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(channel, payload) {
    this.#tabs?.postMessage({ channel, event: payload.type, payload });
  }

  #say(frame) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  #dispatch({ channel, event, payload }) {
    for (const handler of this.#handlers.get(channel) ?? []) handler(event, payload);
  }

  #becomes(state) {
    this.state = state;
    for (const listener of this.#listeners) listener(state);
  }
}
