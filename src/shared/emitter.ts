/** Typed events for any number of listeners. A listener that throws has a bug, which does not keep the others from being called. */
export interface Emitter<Event> {
  emit(event: Event): void;
  /** Returns the function that ends the subscription. */
  on(listener: (event: Event) => void): () => void;
}

export function createEmitter<Event>(onError: (error: unknown) => void): Emitter<Event> {
  const listeners = new Set<(event: Event) => void>();
  return {
    emit(event) {
      for (const listener of [...listeners]) {
        try {
          listener(event);
        } catch (error) {
          onError(error);
        }
      }
    },
    on(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
  };
}
