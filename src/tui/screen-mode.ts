/** Whose screen it is: in `serve`, Ctrl-C stops the deployment; whoever only watches leaves with it. */
export type ScreenMode = 'serve' | 'watch';
