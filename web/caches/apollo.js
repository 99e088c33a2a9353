import { ApolloLink } from '@apollo/client';
import { map } from 'rxjs';

// Before all other links, those of subscriptions too: link: ApolloLink.from([orderLink(order), ApolloLink.split(...)])
export const orderLink = (order) => new ApolloLink((operation, forward) => forward(operation).pipe(map(order)));
