// Tracks to publish: pictures that tell whose they are, tones, silence, and Chromium's fake camera and microphone.

/** A moving picture in one colour (`[red, green, blue]`), so that a receiver can tell whose it is and that it moves. */
export function canvas({ colour, text = "", width = 320, height = 240, fps = 12 }) {
  const element = document.createElement("canvas");
  Object.assign(element, { width, height });
  const context = element.getContext("2d");
  let step = 0;
  const draw = () => {
    step += 1;
    context.fillStyle = `rgb(${colour.join(" ")})`;
    context.fillRect(0, 0, width, height);
    // A bar at the lower edge moves; the rest keeps the colour.
    context.fillStyle = "white";
    context.fillRect((step * width) / 16 % width, height * 0.85, width / 8, height * 0.15);
    context.font = `bold ${height / 5}px sans-serif`;
    context.textAlign = "center";
    context.fillText(text, width / 2, height * 0.45);
    context.font = `${height / 12}px sans-serif`;
    context.fillText(String(step), width / 2, height * 0.62);
  };
  draw();
  const timer = setInterval(draw, 1000 / fps);
  const [track] = element.captureStream(fps).getVideoTracks();
  const stop = track.stop.bind(track);
  track.stop = () => {
    clearInterval(timer);
    stop();
  };
  return track;
}

/** A tone; of volume 0, silence. */
export function tone({ volume = 0.5, hertz = 440 } = {}) {
  const context = new AudioContext();
  const oscillator = new OscillatorNode(context, { frequency: hertz });
  const gain = new GainNode(context, { gain: volume });
  const out = new MediaStreamAudioDestinationNode(context);
  oscillator.connect(gain).connect(out);
  oscillator.start();
  return out.stream.getAudioTracks()[0];
}

/** Chromium's fake camera (a clock) and microphone (a beep a second). */
export async function device({ width = 320, height = 240, fps = 15 } = {}) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width, height, frameRate: fps } });
  return { mic: stream.getAudioTracks()[0], camera: stream.getVideoTracks()[0] };
}

/** This tab, captured as a screen. */
export async function screen() {
  const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: 8 }, preferCurrentTab: true });
  return stream.getVideoTracks()[0];
}
