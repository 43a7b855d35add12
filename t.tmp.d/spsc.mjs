const N = 4, CAP = 2;
export const setup = () => ({ w: new Int32Array(new SharedArrayBuffer(256)) });
export function produce({ w }) {
  for (let i = 0; i < N; i++) {
    while (i - Atomics.load(w, 1) === CAP) Atomics.pause();
    w[16 + (i % CAP)] = i + 1;
    Atomics.store(w, 0, i + 1);
  }
}
export function take({ w }) {
  let sum = 0;
  for (let i = 0; i < N; i++) {
    while (Atomics.load(w, 0) === i) Atomics.pause();
    sum = sum * 10 + w[16 + (i % CAP)];
    Atomics.store(w, 1, i + 1);
  }
  return sum;
}
export const check = (s, [, sum]) => sum === 1234;
