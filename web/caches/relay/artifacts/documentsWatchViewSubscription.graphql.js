/**
 * @generated SignedSource<<3f8cbc95135e00f2628a056d09b0c645>>
 * @lightSyntaxTransform
 */

/* eslint-disable */

'use strict';

var node = (function(){
var v0 = {
  "defaultValue": null,
  "kind": "LocalArgument",
  "name": "channel"
},
v1 = {
  "defaultValue": null,
  "kind": "LocalArgument",
  "name": "id"
},
v2 = {
  "alias": null,
  "args": null,
  "kind": "ScalarField",
  "name": "id",
  "storageKey": null
},
v3 = {
  "alias": null,
  "args": null,
  "kind": "ScalarField",
  "name": "version",
  "storageKey": null
},
v4 = [
  {
    "alias": null,
    "args": [
      {
        "kind": "Variable",
        "name": "channel",
        "variableName": "channel"
      },
      {
        "items": [
          {
            "kind": "Variable",
            "name": "productIds.0",
            "variableName": "id"
          }
        ],
        "kind": "ListValue",
        "name": "productIds"
      }
    ],
    "concreteType": "Stock",
    "kind": "LinkedField",
    "name": "stockChanged",
    "plural": false,
    "selections": [
      (v2/*:: as any*/),
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "productId",
        "storageKey": null
      },
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "quantityAvailable",
        "storageKey": null
      },
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "status",
        "storageKey": null
      },
      (v3/*:: as any*/),
      {
        "alias": null,
        "args": null,
        "concreteType": "StockLevel",
        "kind": "LinkedField",
        "name": "levels",
        "plural": true,
        "selections": [
          (v2/*:: as any*/),
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "available",
            "storageKey": null
          },
          (v3/*:: as any*/),
          {
            "alias": null,
            "args": null,
            "concreteType": "Location",
            "kind": "LinkedField",
            "name": "location",
            "plural": false,
            "selections": [
              (v2/*:: as any*/),
              {
                "alias": null,
                "args": null,
                "kind": "ScalarField",
                "name": "name",
                "storageKey": null
              }
            ],
            "storageKey": null
          }
        ],
        "storageKey": null
      },
      {
        "alias": null,
        "args": null,
        "concreteType": "Product",
        "kind": "LinkedField",
        "name": "product",
        "plural": false,
        "selections": [
          (v2/*:: as any*/),
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "title",
            "storageKey": null
          },
          (v3/*:: as any*/)
        ],
        "storageKey": null
      }
    ],
    "storageKey": null
  }
];
return {
  "fragment": {
    "argumentDefinitions": [
      (v0/*:: as any*/),
      (v1/*:: as any*/)
    ],
    "kind": "Fragment",
    "metadata": null,
    "name": "documentsWatchViewSubscription",
    "selections": (v4/*:: as any*/),
    "type": "Subscription",
    "abstractKey": null
  },
  "kind": "Request",
  "operation": {
    "argumentDefinitions": [
      (v1/*:: as any*/),
      (v0/*:: as any*/)
    ],
    "kind": "Operation",
    "name": "documentsWatchViewSubscription",
    "selections": (v4/*:: as any*/)
  },
  "params": {
    "cacheID": "b4b9608d589e7c0faf3522ebbaaeeed0",
    "id": null,
    "metadata": {},
    "name": "documentsWatchViewSubscription",
    "operationKind": "subscription",
    "text": "subscription documentsWatchViewSubscription(\n  $id: ID!\n  $channel: ID\n) {\n  stockChanged(productIds: [$id], channel: $channel) {\n    id\n    productId\n    quantityAvailable\n    status\n    version\n    levels {\n      id\n      available\n      version\n      location {\n        id\n        name\n      }\n    }\n    product {\n      id\n      title\n      version\n    }\n  }\n}\n"
  }
};
})();

node.hash = "2b59fc48fbdac3551951ef92ddb19446";

export default node;
