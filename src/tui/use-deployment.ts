import { useSyncExternalStore } from 'react';
import type { DeploymentView, ViewState } from './deployment-view.ts';

/** The newest state of a view; draws again when it changes. */
export function useDeployment(view: DeploymentView): ViewState {
  return useSyncExternalStore(
    (listener) => view.subscribe(listener),
    () => view.current(),
  );
}
